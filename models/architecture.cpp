#include "models/architecture.h"

#include <fmt/core.h>

#include <numeric>
#include <stdexcept>

#include "kernels/random.h"

namespace tardigrad::models {

std::size_t Architecture::activations() const {
  return std::accumulate(
      summaries_.begin(), summaries_.end(), input_.size(),
      [](std::size_t sum, const LayerSummary& layer) { return sum + layer.output.size(); });
}

double Architecture::gradient_operations() const {
  return std::accumulate(summaries_.begin(), summaries_.end(), 0.0,
                         [](double sum, const LayerSummary& layer) { return sum + layer.operations; });
}

void initialise(const Architecture& architecture, std::span<float> parameters, std::uint64_t seed) {
  const auto& tensors = architecture.layout().tensors();
  if (parameters.size() != architecture.layout().dimension()) {
    throw std::invalid_argument(fmt::format("initialise: {} parameters given; {} has {}", parameters.size(),
                                            architecture.name(), architecture.layout().dimension()));
  }
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const auto& [middle, bound] = architecture.initial_values()[t];
    Random random(seed, Purpose::initialise, 0, t);
    for (float& value : parameters.subspan(tensors[t].offset, tensors[t].elements())) {
      value = static_cast<float>(middle + bound * (2 * random.uniform() - 1));
    }
  }
}

}  // namespace tardigrad::models
