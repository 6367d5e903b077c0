#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tardigrad {

/// Describes a named tensor inside a model's flat parameter vector: elements [offset, offset + elements()) in
/// row-major order.
struct TensorSpec {
  std::string name;  ///< as in a PyTorch state dict, e.g. "conv1.weight"
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;  ///< in elements
  std::size_t elements() const;
};

/// Lists the tensors of a flat parameter vector, in order and without gaps. A gradient has the same layout.
class ParameterLayout {
 public:
  /// Appends a tensor and returns its offset.
  std::size_t add(std::string name, std::vector<std::int64_t> shape);

  const std::vector<TensorSpec>& tensors() const { return tensors_; }

  /// Returns d, the number of parameters.
  std::size_t dimension() const { return dimension_; }

 private:
  std::vector<TensorSpec> tensors_;
  std::size_t dimension_ = 0;
};

/// Tells whether all numbers of the model are finite.
bool is_finite(std::span<const float> model);

}  // namespace tardigrad
