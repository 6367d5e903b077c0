#include "models/layers/onednn/reorder.h"

#include "models/layers/onednn/primitives.h"

namespace tardigrad::models::onednn {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

memory::desc describe_images(const ImageLayout& layout, int batch) {
  const bool is_blocked = layout.block != 1 && layout.block != layout.channels;
  const Tag blocked = layout.block == 8 ? Tag::nChw8c : Tag::nChw16c;
  const Tag plain = layout.block == layout.channels ? Tag::nhwc : Tag::nchw;
  return describe({batch, layout.channels, layout.height, layout.width}, is_blocked ? blocked : plain);
}

class Reorder final : public Layer {
 public:
  Reorder(const ImageLayout& from, const ImageLayout& to, int batch)
      : from_(view(describe_images(from, batch))),
        to_(view(describe_images(to, batch))),
        size_(to.size() * batch) {
    const OneThread one_thread;
    forward_ = Operation::make_reorder(from_, to_);
    backward_ = Operation::make_reorder(to_, from_);
  }

  std::size_t output_size() const override { return size_; }

  void forward(const float* /*parameters*/, const float* input, float* output) override {
    point(from_, input);
    point(to_, output);
    forward_.execute();
  }

  void backward(const float* /*parameters*/, const float* /*input*/, const float* output_gradient,
                float* input_gradient, float* /*gradient*/) override {
    if (!input_gradient) return;
    point(to_, output_gradient);
    point(from_, input_gradient);
    backward_.execute();
  }

 private:
  memory from_, to_;  // the caller's
  std::size_t size_;
  Operation forward_, backward_;
};

}  // namespace

std::unique_ptr<Layer> make_reorder(const ImageLayout& from, const ImageLayout& to, int batch) {
  return std::make_unique<Reorder>(from, to, batch);
}

}  // namespace tardigrad::models::onednn
