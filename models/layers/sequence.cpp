#include "models/layers/sequence.h"

#include <utility>

namespace tardigrad::models {

Sequence::Sequence(Layers layers) : layers_(std::move(layers)) {
  for (const auto& layer : layers_) outputs_.emplace_back(layer->output_size());
}

float* Sequence::forward(const float* parameters, const float* input) {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    layers_[l]->forward(parameters, input, outputs_[l].data());
    input = outputs_[l].data();
  }
  return outputs_.back().data();
}

void Sequence::backward(const float* parameters, const float* input, const float* output_gradient,
                        float* input_gradient, float* gradient) {
  for (std::size_t l = layers_.size(); l-- > 0;) {
    // The gradient with respect to an activation takes its place: nothing reads the activation after that.
    float* below = l == 0 ? input_gradient : outputs_[l - 1].data();
    layers_[l]->backward(parameters, l == 0 ? input : below, output_gradient, below, gradient);
    output_gradient = below;
  }
}

void Sequence::use_masks(const std::optional<MaskKey>& key) {
  for (const auto& layer : layers_) layer->use_masks(key);
}

}  // namespace tardigrad::models
