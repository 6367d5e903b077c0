#pragma once

#include <cstddef>

#include "kernels/bf16.h"
#include "kernels/operation.h"

/// Is what networks compute element by element. In all of these Number is float or Bf16; they compute in fp32
/// and round once. The output may be the memory of an input; otherwise nothing overlaps. Any alignment of
/// whole elements works; 16 bytes are fastest.
///
/// Errors: std::logic_error for a null pointer; launch() also throws std::runtime_error with CUDA's text.
/// Without elements nothing is done.

namespace tardigrad {

/// Computes output[i] = max(input[i], 0). NaN stays NaN.
template <typename Number>
struct ReluForward {
  static constexpr const char* name = "relu";

  std::size_t size = 0;
  const Number* input = nullptr;
  Number* output = nullptr;

  /// Computes on the calling thread.
  void run() const;
  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;
  double bytes() const;
  double flops() const { return static_cast<double>(size); }
};

/// Computes input_gradient[i] = 0 where activation[i] ≤ 0, output_gradient[i] elsewhere. The activation is
/// the ReLU's input or its output, which gives the same. Where it is NaN, the gradient passes, as in PyTorch.
template <typename Number>
struct ReluBackward {
  static constexpr const char* name = "relu_backward";

  std::size_t size = 0;
  const Number* activation = nullptr;
  const Number* output_gradient = nullptr;
  Number* input_gradient = nullptr;

  /// Computes on the calling thread.
  void run() const;
  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;
  double bytes() const;
  double flops() const { return static_cast<double>(size); }
};

/// Computes output[i] = x · Φ(x) of x = input[i], with the distribution function Φ of the standard normal
/// distribution (Hendrycks, Gimpel 2016).
template <typename Number>
struct GeluForward {
  static constexpr const char* name = "gelu";

  std::size_t size = 0;
  const Number* input = nullptr;
  Number* output = nullptr;

  /// Computes on the calling thread.
  void run() const;
  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;
  double bytes() const;
  /// Counts about 25 for erff.
  double flops() const { return 30 * static_cast<double>(size); }
};

/// Computes input_gradient[i] = output_gradient[i] · (Φ(x) + x φ(x)) of x = input[i], with the density φ.
template <typename Number>
struct GeluBackward {
  static constexpr const char* name = "gelu_backward";

  std::size_t size = 0;
  const Number* input = nullptr;
  const Number* output_gradient = nullptr;
  Number* input_gradient = nullptr;

  /// Computes on the calling thread.
  void run() const;
  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;
  double bytes() const;
  /// Counts about 40 for erff and expf.
  double flops() const { return 50 * static_cast<double>(size); }
};

/// Computes output[i] = first[i] + second[i], and with `relu` max(that, 0). NaN stays NaN.
template <typename Number>
struct AddElements {
  static constexpr const char* name = "add_elements";

  std::size_t size = 0;
  bool relu = false;
  const Number* first = nullptr;
  const Number* second = nullptr;
  Number* output = nullptr;

  /// Computes on the calling thread.
  void run() const;
  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;
  double bytes() const;
  double flops() const { return static_cast<double>(size); }
};

}  // namespace tardigrad
