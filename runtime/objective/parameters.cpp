#include "runtime/objective/parameters.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

namespace tardigrad {

std::size_t TensorSpec::elements() const {
  return static_cast<std::size_t>(
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
}

std::size_t ParameterLayout::add(std::string name, std::vector<std::int64_t> shape) {
  const std::size_t offset = dimension_;
  tensors_.push_back({std::move(name), std::move(shape), offset});
  dimension_ += tensors_.back().elements();
  return offset;
}

bool is_finite(std::span<const float> model) {
  return std::ranges::all_of(model, [](float value) { return std::isfinite(value); });
}

}  // namespace tardigrad
