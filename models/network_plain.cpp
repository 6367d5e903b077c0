#include <type_traits>
#include <vector>

#include "models/network.h"

namespace tardigrad::models {
namespace {

/// A description with its plain functions, as a layer of a network.
template <typename Spec>
class PlainLayer final : public Layer {
 public:
  PlainLayer(const Spec& spec, int batch) : spec_(spec), batch_(batch) {}

  std::size_t output_size() const override { return spec_.output_size() * batch_; }

  void use_masks([[maybe_unused]] const std::optional<MaskKey>& key) override {
    if constexpr (std::is_same_v<Spec, Dropout>) spec_.key = key;
  }

  void forward(const float* parameters, const float* input, float* output) override {
    plain::forward(spec_, batch_, parameters, input, output);
  }

  void backward(const float* parameters, const float* input, const float* output_gradient,
                float* input_gradient, float* gradient) override {
    plain::backward(spec_, batch_, parameters, input, output_gradient, input_gradient, gradient);
  }

 private:
  Spec spec_;
  int batch_;
};

/// Those of a list.
Layers make_layers(const std::vector<LayerSpec>& specs, int batch_size) {
  Layers layers;
  for (const LayerSpec& spec : specs) layers.push_back(make_plain_layer(spec, batch_size));
  return layers;
}

}  // namespace

std::unique_ptr<Layer> make_plain_layer(const LayerSpec& spec, int batch_size) {
  return std::visit(
      [&]<typename Spec>(const Spec& layer) -> std::unique_ptr<Layer> {
        if constexpr (std::is_same_v<Spec, Residual>) {
          return make_residual(make_layers(layer.branch, batch_size), make_layers(layer.shortcut, batch_size),
                               layer.input_size * batch_size);
        } else {
          return std::make_unique<PlainLayer<Spec>>(layer, batch_size);
        }
      },
      spec);
}

Layers make_plain_layers(const Architecture& architecture, int batch_size) {
  return make_layers(architecture.layers(), batch_size);
}

}  // namespace tardigrad::models
