#include "models/layers/gelu.h"

#include "models/layers/onednn/primitives.h"

namespace tardigrad::models::onednn {
namespace {

class GeluLayer final : public Layer {
 public:
  GeluLayer(const Gelu& gelu, int batch)
      : size_(gelu.size * batch), input_(vector()), output_(vector()), input_gradient_(vector()) {
    constexpr auto gelu_erf = dnnl::algorithm::eltwise_gelu_erf;
    const OneThread one_thread;
    const dnnl::eltwise_forward::primitive_desc forward(
        {dnnl::prop_kind::forward_training, gelu_erf, input_.get_desc()}, attributes(), cpu());
    forward_ =
        Operation::make<dnnl::eltwise_forward>(forward, {{DNNL_ARG_SRC, input_}, {DNNL_ARG_DST, output_}});
    const dnnl::eltwise_backward::primitive_desc backward({gelu_erf, output_.get_desc(), input_.get_desc()},
                                                          attributes(), cpu(), forward);
    backward_ = Operation::make<dnnl::eltwise_backward>(
        backward,
        {{DNNL_ARG_SRC, input_}, {DNNL_ARG_DIFF_DST, output_}, {DNNL_ARG_DIFF_SRC, input_gradient_}});
  }

  std::size_t output_size() const override { return size_; }

  void forward(const float* /*parameters*/, const float* input, float* output) override {
    point(input_, input);
    point(output_, output);
    forward_.execute();
  }

  void backward(const float* /*parameters*/, const float* input, const float* output_gradient,
                float* input_gradient, float* /*gradient*/) override {
    if (!input_gradient) return;
    point(input_, input);
    point(output_, output_gradient);
    point(input_gradient_, input_gradient);
    backward_.execute();
  }

 private:
  dnnl::memory vector() const {
    return view(describe({static_cast<dnnl::memory::dim>(size_)}, dnnl::memory::format_tag::x));
  }

  std::size_t size_;
  dnnl::memory input_, output_, input_gradient_;  // the caller's
  Operation forward_, backward_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Gelu& gelu, int batch) {
  return std::make_unique<GeluLayer>(gelu, batch);
}

}  // namespace tardigrad::models::onednn
