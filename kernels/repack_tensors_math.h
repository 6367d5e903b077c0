#pragma once

#include <cstddef>

#include "kernels/repack_tensors.h"

namespace tardigrad {

/// Tells whether both forms of a tensor are the same sequence of elements.
TARDIGRAD_HOST_DEVICE inline bool is_plain(const RepackedTensor& tensor) {
  return tensor.taps == 1 && tensor.padded_inputs == tensor.inputs;
}

/// Returns where the working copy has the first tap of `input` of `output`. The next taps follow at a
/// distance of padded_inputs. The flat vector has them at (output · inputs + input) · taps, one behind the
/// other.
TARDIGRAD_HOST_DEVICE inline std::size_t working_place(const RepackedTensor& tensor, std::size_t output,
                                                       std::size_t input) {
  return tensor.working_offset + output * tensor.taps * tensor.padded_inputs + input;
}

/// Throws std::logic_error as repack_tensors.h says.
template <typename Number>
void check(const PackParameters<Number>& pack);
template <typename Number>
void check(const UnpackGradients<Number>& unpack);

}  // namespace tardigrad
