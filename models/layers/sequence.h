#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "models/aligned_vector.h"
#include "models/layers/layer.h"

namespace tardigrad::models {

using Layers = std::vector<std::unique_ptr<Layer>>;

/// Runs layers one after another, with the memory for what they give to each other. As Layer, but for the
/// output, which is its own memory.
class Sequence {
 public:
  explicit Sequence(Layers layers);

  bool empty() const { return layers_.empty(); }
  /// Returns the floats of the output. There is at least one layer, here and below.
  std::size_t output_size() const { return outputs_.back().size(); }

  /// Returns the output, which stays until the next call.
  float* forward(const float* parameters, const float* input);

  /// Overwrites all that forward() has computed. `output_gradient` may be the output.
  void backward(const float* parameters, const float* input, const float* output_gradient,
                float* input_gradient, float* gradient);

  void use_masks(const std::optional<MaskKey>& key);

 private:
  Layers layers_;
  /// Holds the outputs of each layer; on the way back, the gradients with respect to them.
  std::vector<AlignedVector<float>> outputs_;
};

}  // namespace tardigrad::models
