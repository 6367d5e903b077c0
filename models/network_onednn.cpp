#include <stdexcept>

#include "models/network.h"

namespace tardigrad::models {
namespace {

/// Up to this batch size own loops are faster for linear layers than oneDNN's matrix products.
constexpr int small_batch = 4;

template <typename Spec>
const Spec* layer_at(const Architecture& architecture, std::size_t l) {
  return l < architecture.layers().size() ? std::get_if<Spec>(&architecture.layers()[l]) : nullptr;
}

std::unique_ptr<Layer> make_linear(const Linear& linear, int batch_size) {
  return batch_size > small_batch ? onednn::make_layer(linear, batch_size)
                                  : make_plain_layer(linear, batch_size);
}

}  // namespace

// Images stay in the formats that the convolutions like; the last pooling writes them channel-major, as
// linear layers read them, so no pass exists only to change a format.
Layers make_onednn_layers(const Architecture& architecture, int batch_size) {
  const ImageShape& images = architecture.input();
  ImageLayout layout{images.channels, images.height, images.width, 1};
  Layers layers;
  for (std::size_t l = 0; l < architecture.layers().size(); ++l) {
    if (const auto* conv = layer_at<Conv3x3>(architecture, l)) {
      onednn::ConvLayer made = onednn::make_layer(*conv, batch_size, layout);
      layers.push_back(std::move(made.layer));
      layout = made.output;
    } else if (const auto* linear = layer_at<Linear>(architecture, l); linear && layout.block == 1) {
      layers.push_back(make_linear(*linear, batch_size));
      layout = {linear->outputs, 1, 1, 1};
    } else if (layer_at<Relu>(architecture, l) && layer_at<MaxPool2x2>(architecture, l + 1)) {
      const bool conv_follows = layer_at<Conv3x3>(architecture, l + 2);
      const ImageLayout pooled{layout.channels, layout.height / 2, layout.width / 2,
                               conv_follows ? layout.channels : 1};
      layers.push_back(make_relu_max_pool(layout, pooled, batch_size));
      layout = pooled;
      ++l;
    } else if (layer_at<Relu>(architecture, l)) {
      layers.push_back(make_plain_layer(Relu{layout.size()}, batch_size));
    } else {
      throw std::logic_error("oneDNN: a pooling must follow a ReLU and be what lies before a linear layer");
    }
  }
  return layers;
}

}  // namespace tardigrad::models
