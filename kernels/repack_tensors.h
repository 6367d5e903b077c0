#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/operation.h"

namespace tardigrad {

/// Describes a tensor that lies in two forms: `outputs` × `inputs` × `taps` as the model's flat vector has it
/// (PyTorch's OIHW), and `outputs` × `taps` × `padded_inputs` as tensor cores want it (KRSC: channels last,
/// the input channels filled up with zeros). With one tap and no padding both forms are the same, of any
/// shape.
struct RepackedTensor {
  std::size_t flat_offset = 0;      ///< of its first element, in elements
  std::size_t working_offset = 0;   ///< the same in the working copy
  std::uint32_t outputs = 0;        ///< outputs · inputs < 2^32
  std::uint32_t inputs = 0;         ///< ≥ 1
  std::uint32_t padded_inputs = 0;  ///< ≥ inputs
  std::uint32_t taps = 1;           ///< height · width of a convolution's kernel, 1 … 49

  TARDIGRAD_HOST_DEVICE std::size_t flat_size() const {
    return static_cast<std::size_t>(outputs) * inputs * taps;
  }
  TARDIGRAD_HOST_DEVICE std::size_t working_size() const {
    return static_cast<std::size_t>(outputs) * padded_inputs * taps;
  }
};

/// Lists the tensors of one launch. The first `count` are used.
struct RepackedTensors {
  static constexpr std::size_t max_count = 16;
  static constexpr std::uint32_t max_taps = 49;

  std::size_t count = 0;
  std::array<RepackedTensor, max_count> tensors{};
};

/// Makes the working copy of a model's parameters, rounded to the nearest Number (float or Bf16), padding
/// included. What lies between the tensors is neither read nor written. Outputs overlap nothing.
///
/// Errors: std::logic_error for a null pointer or a tensor outside the limits above; launch() also throws
/// std::runtime_error with CUDA's text. Without tensors nothing is done. Any alignment of whole elements
/// works; a tensor that both forms have alike is fast if it begins at a multiple of 16 bytes in both.
template <typename Number>
struct PackParameters {
  static constexpr const char* name = "pack_parameters";

  RepackedTensors tensors;
  const float* flat = nullptr;  ///< the model's flat vector
  Number* working = nullptr;

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const { return 0; }
};

/// Goes the way back, for gradients: the padding is left out, everything else turns into the float that it
/// is. Otherwise it is as PackParameters.
template <typename Number>
struct UnpackGradients {
  static constexpr const char* name = "unpack_gradients";

  RepackedTensors tensors;
  const Number* working = nullptr;
  float* flat = nullptr;  ///< the model's flat gradient

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const { return 0; }
};

}  // namespace tardigrad
