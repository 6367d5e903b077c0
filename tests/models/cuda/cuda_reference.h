#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "models/architecture.h"
#include "models/layers/cross_entropy.h"
#include "models/layers/residual.h"
#include "tests/models/layer_checks.h"

namespace tardigrad::models::testing {

struct ReferenceGradient {
  double loss = 0;
  std::vector<double> gradient;
};

/// Runs a list of layers in float64 by their plain functions, and back.
class ReferenceLayers {
 public:
  ReferenceLayers(const std::vector<LayerSpec>& specs, int batch, const MaskKey& masks)
      : specs_(specs), batch_(batch), masks_(masks) {}

  /// Returns the output.
  std::vector<double> forward(const std::vector<double>& parameters, const std::vector<double>& input) {
    activations_ = {input};
    branches_.clear();
    for (const LayerSpec& spec : specs_) {
      activations_.push_back(
          std::visit([&](const auto& layer) { return output_of(layer, parameters); }, spec));
    }
    return activations_.back();
  }

  /// Returns the gradient with respect to the input, and overwrites those of the parameters.
  std::vector<double> backward(const std::vector<double>& parameters, std::vector<double> output_gradient,
                               std::vector<double>& gradient) {
    for (std::size_t l = specs_.size(); l-- > 0;) {
      output_gradient = std::visit(
          [&](const auto& layer) {
            return input_gradient_of(layer, parameters, activations_[l], output_gradient, gradient);
          },
          specs_[l]);
    }
    return output_gradient;
  }

 private:
  template <typename Spec>
  std::vector<double> output_of(const Spec& layer, const std::vector<double>& parameters) {
    std::vector<double> output(layer.output_size() * static_cast<std::size_t>(batch_));
    plain::forward(with_masks(layer), batch_, parameters.data(), activations_.back().data(), output.data());
    return output;
  }

  std::vector<double> output_of(const Residual& block, const std::vector<double>& parameters) {
    std::vector<double> sum = add_branch(block.branch).forward(parameters, activations_.back());
    add(sum, add_branch(block.shortcut).forward(parameters, activations_.back()));
    return sum;
  }

  ReferenceLayers& add_branch(const std::vector<LayerSpec>& specs) {
    branches_.push_back(std::make_unique<ReferenceLayers>(specs, batch_, masks_));
    return *branches_.back();
  }

  template <typename Spec>
  std::vector<double> input_gradient_of(const Spec& layer, const std::vector<double>& parameters,
                                        const std::vector<double>& input,
                                        const std::vector<double>& output_gradient,
                                        std::vector<double>& gradient) {
    std::vector<double> input_gradient(input.size());
    plain::backward(with_masks(layer), batch_, parameters.data(), input.data(), output_gradient.data(),
                    input_gradient.data(), gradient.data());
    return input_gradient;
  }

  std::vector<double> input_gradient_of(const Residual& /*block*/, const std::vector<double>& parameters,
                                        const std::vector<double>& /*input*/,
                                        const std::vector<double>& output_gradient,
                                        std::vector<double>& gradient) {
    std::vector<double> sum = branches_.back()->backward(parameters, output_gradient, gradient);
    branches_.pop_back();
    add(sum, branches_.back()->backward(parameters, output_gradient, gradient));
    branches_.pop_back();
    return sum;
  }

  template <typename Spec>
  Spec with_masks(Spec layer) const {
    if constexpr (std::is_same_v<Spec, Dropout>) layer.key = masks_;
    return layer;
  }

  static void add(std::vector<double>& to, const std::vector<double>& terms) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += terms[i];
  }

  const std::vector<LayerSpec>& specs_;
  int batch_;
  MaskKey masks_;
  std::vector<std::vector<double>> activations_;
  std::vector<std::unique_ptr<ReferenceLayers>> branches_;  // of blocks, in the order of the way forward
};

/// The gradient of a whole network in float64, by the plain layers. Images [batch, channels, height, width].
inline ReferenceGradient reference_gradient(const Architecture& architecture, int batch,
                                            const std::vector<double>& parameters,
                                            const std::vector<double>& images,
                                            const std::vector<std::int32_t>& labels,
                                            const MaskKey& masks = {}) {
  ReferenceLayers layers(architecture.layers(), batch, masks);
  std::vector<double> logits = layers.forward(parameters, images);
  ReferenceGradient result{0, std::vector<double>(parameters.size())};
  result.loss =
      plain::cross_entropy(batch, architecture.classes(), logits.data(), labels.data(), logits.data()) /
      batch;
  layers.backward(parameters, logits, result.gradient);
  return result;
}

}  // namespace tardigrad::models::testing
