#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "models/architecture.h"
#include "models/layers/cross_entropy.h"
#include "tests/models/layer_checks.h"

namespace tardigrad::models::testing {

struct ReferenceGradient {
  double loss = 0;
  std::vector<double> gradient;
};

/// The gradient of a whole network in float64, by the plain layers. Images [batch, channels, height, width].
inline ReferenceGradient reference_gradient(const Architecture& architecture, int batch,
                                            const std::vector<double>& parameters,
                                            const std::vector<double>& images,
                                            const std::vector<std::int32_t>& labels) {
  std::vector<std::vector<double>> activations{images};
  for (const LayerSpec& spec : architecture.layers()) {
    std::visit(
        [&]<typename Spec>(const Spec& layer) {
          if constexpr (std::is_same_v<Spec, Residual>) {
            ADD_FAILURE() << "GPUs have no residual blocks";
          } else {
            std::vector<double> output(layer.output_size() * static_cast<std::size_t>(batch));
            plain::forward(layer, batch, parameters.data(), activations.back().data(), output.data());
            activations.push_back(std::move(output));
          }
        },
        spec);
  }
  ReferenceGradient result{0, std::vector<double>(parameters.size())};
  double* logits = activations.back().data();
  result.loss = plain::cross_entropy(batch, architecture.classes(), logits, labels.data(), logits) / batch;
  for (std::size_t l = architecture.layers().size(); l-- > 0;) {
    std::visit(
        [&]<typename Spec>(const Spec& layer) {
          if constexpr (!std::is_same_v<Spec, Residual>) {
            plain::backward(layer, batch, parameters.data(), activations[l].data(), activations[l + 1].data(),
                            l == 0 ? nullptr : activations[l].data(), result.gradient.data());
          }
        },
        architecture.layers()[l]);
  }
  return result;
}

}  // namespace tardigrad::models::testing
