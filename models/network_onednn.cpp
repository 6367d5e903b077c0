#include <utility>

#include "models/layers/onednn/reorder.h"
#include "models/network.h"

namespace tardigrad::models {
namespace {

/// Up to this batch size, or so many outputs, own loops are faster for linear layers than oneDNN's matrix
/// products.
constexpr int small_batch = 4;
constexpr int few_outputs = 4;

/// Whether two formats of the same images are one in memory: with one channel, or one pixel, it is all the
/// same which of them comes first.
bool lie_alike(const ImageLayout& a, const ImageLayout& b) {
  const auto has_no_blocks = [](const ImageLayout& c) { return c.block == 1 || c.block == c.channels; };
  const bool has_one_order = a.channels == 1 || a.height * a.width == 1;
  return a == b || (has_one_order && has_no_blocks(a) && has_no_blocks(b));
}

/// Makes the layers of one list. Images stay in the formats that the layers like, which is channels last but
/// for the images that a network reads and what the first convolution makes of them. Where two layers that
/// meet want different ones, a layer between them copies; the pooling behind a ReLU writes what the next
/// layer reads, so the usual convolutional network needs none. Where the images themselves are copied first,
/// the next layer computes a gradient with respect to them that nobody reads.
class OnednnBuilder {
 public:
  /// `reads_images` says whether the input is the network's images, which no gradient is wanted for.
  OnednnBuilder(int batch, const ImageLayout& input, bool reads_images)
      : batch_(batch), layout_(input), reads_images_(reads_images) {}

  void add(const std::vector<LayerSpec>& specs) {
    for (std::size_t l = 0; l < specs.size();) {
      const LayerSpec* next = l + 1 < specs.size() ? &specs[l + 1] : nullptr;
      const LayerSpec* last = l + 2 < specs.size() ? &specs[l + 2] : nullptr;
      l += std::visit([&](const auto& layer) { return make(layer, next, last); }, specs[l]);
    }
  }

  const ImageLayout& layout() const { return layout_; }
  Layers take() { return std::move(layers_); }

  /// Makes the output lie so.
  void want(const ImageLayout& layout) {
    if (!lie_alike(layout, layout_)) push(onednn::make_reorder(layout_, layout, batch_));
    layout_ = layout;
  }

 private:
  // Each makes a layer, with what comes next if that can be part of it, and returns how many it has made.

  std::size_t make(const Convolution& conv, const LayerSpec* /*next*/, const LayerSpec* /*last*/) {
    const bool reads_images = reads_images_ && layout_.block == 1;
    if (!reads_images) want_block(layout_.channels);
    onednn::ConvLayer made = onednn::make_layer(conv, batch_, layout_, reads_images);
    push(std::move(made.layer), made.output);
    return 1;
  }

  std::size_t make(const Linear& linear, const LayerSpec* /*next*/, const LayerSpec* /*last*/) {
    want_block(1);
    const bool is_small = batch_ <= small_batch || linear.outputs <= few_outputs;
    push(is_small ? make_plain_layer(linear, batch_) : onednn::make_layer(linear, batch_),
         {linear.outputs, 1, 1, 1});
    return 1;
  }

  std::size_t make(const Relu& /*relu*/, const LayerSpec* next, const LayerSpec* last) {
    const auto* pool = next ? std::get_if<MaxPool>(next) : nullptr;
    if (!pool || !pool->is_2x2()) {
      push(make_plain_layer(Relu{layout_.size()}, batch_), layout_);
      return 1;
    }
    const bool flatten_follows = last && std::holds_alternative<Flatten>(*last);
    const ImageLayout pooled{layout_.channels, layout_.height / 2, layout_.width / 2,
                             flatten_follows ? 1 : layout_.channels};
    push(make_relu_max_pool(layout_, pooled, batch_), pooled);
    return 2;
  }

  std::size_t make(const Gelu& /*gelu*/, const LayerSpec* /*next*/, const LayerSpec* /*last*/) {
    push(onednn::make_layer(Gelu{layout_.size()}, batch_), layout_);
    return 1;
  }

  std::size_t make(const MaxPool& pool, const LayerSpec* /*next*/, const LayerSpec* /*last*/) {
    return make_channels_last(pool, {pool.channels, pool.out_height(), pool.out_width(), pool.channels});
  }

  std::size_t make(const AvgPool& pool, const LayerSpec* /*next*/, const LayerSpec* /*last*/) {
    return make_channels_last(pool, {pool.channels, pool.out_height(), pool.out_width(), pool.channels});
  }

  std::size_t make(const GlobalAvgPool& pool, const LayerSpec* /*next*/, const LayerSpec* /*last*/) {
    return make_channels_last(pool, {pool.channels, 1, 1, 1});
  }

  std::size_t make(const GroupNorm& norm, const LayerSpec* next, const LayerSpec* /*last*/) {
    want_block(layout_.channels);
    const bool relu_follows = next && std::holds_alternative<Relu>(*next);
    push(channels_last::make_layer(norm, batch_, relu_follows), layout_);
    return relu_follows ? 2 : 1;
  }

  std::size_t make(const LayerNorm& norm, const LayerSpec* /*next*/, const LayerSpec* /*last*/) {
    want_block(1);
    push(onednn::make_layer(norm, batch_, reads_images_), layout_);
    return 1;
  }

  std::size_t make(const Dropout& dropout, const LayerSpec* /*next*/, const LayerSpec* /*last*/) {
    want_block(1);
    push(make_plain_layer(dropout, batch_), layout_);
    return 1;
  }

  std::size_t make(const Flatten& flatten, const LayerSpec* /*next*/, const LayerSpec* /*last*/) {
    want_block(1);
    layout_ = {static_cast<int>(flatten.size), 1, 1, 1};
    return 1;
  }

  std::size_t make(const Residual& residual, const LayerSpec* /*next*/, const LayerSpec* /*last*/) {
    want_block(layout_.channels);
    OnednnBuilder branch(batch_, layout_, reads_images_);
    OnednnBuilder shortcut(batch_, layout_, reads_images_);
    branch.add(residual.branch);
    shortcut.add(residual.shortcut);
    branch.want(shortcut.layout());
    push(make_residual(branch.take(), shortcut.take(), layout_.size() * batch_), branch.layout());
    return 1;
  }

  template <typename Pool>
  std::size_t make_channels_last(const Pool& pool, const ImageLayout& output) {
    want_block(layout_.channels);
    push(channels_last::make_layer(pool, batch_), output);
    return 1;
  }

  void want_block(int block) { want({layout_.channels, layout_.height, layout_.width, block}); }

  void push(std::unique_ptr<Layer> layer) {
    layers_.push_back(std::move(layer));
    reads_images_ = false;
  }

  void push(std::unique_ptr<Layer> layer, const ImageLayout& output) {
    push(std::move(layer));
    layout_ = output;
  }

  int batch_;
  ImageLayout layout_;
  bool reads_images_;
  Layers layers_;
};

}  // namespace

Layers make_onednn_layers(const Architecture& architecture, int batch_size) {
  const ImageShape& images = architecture.input();
  OnednnBuilder builder(batch_size, {images.channels, images.height, images.width, 1}, true);
  builder.add(architecture.layers());
  return builder.take();
}

}  // namespace tardigrad::models
