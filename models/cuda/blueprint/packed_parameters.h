#pragma once

#include <cstddef>
#include <vector>

#include "models/cuda/blueprint/blueprint.h"
#include "models/cuda/blueprint/blueprint_memory.h"

namespace tardigrad::models::cuda {

/// Decides which parameters of a blueprint are used where they lie in the flat vectors, and gives the others
/// places in the working copies.
class PackedParameters {
 public:
  explicit PackedParameters(Blueprint& plan) : plan_(plan) {}

  /// Returns where the weight of a convolution is, for images of a format with so many channels.
  /// `input_channels` has their padding.
  Parameter convolution_weight(const models::Convolution& convolution, int input_channels,
                               MemoryFormat format);
  Parameter linear_weight(const Linear& linear);
  Parameter linear_bias(const Linear& linear);

  /// Takes the memory of the working copies, once all parameters are known.
  void place(BlueprintMemory& memory);

 private:
  Parameter linear_parameter(const Linear& linear, const RepackedTensor& tensor);
  Parameter parameter(const RepackedTensor& tensor, bool value_in_place, bool gradient_in_place);

  Blueprint& plan_;
  std::size_t packed_size_ = 0;           // elements
  std::size_t packed_gradient_size_ = 0;  // elements
};

}  // namespace tardigrad::models::cuda
