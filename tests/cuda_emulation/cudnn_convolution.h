#pragma once

#include <cstddef>
#include <span>

#include "tests/cuda_emulation/cudnn_descriptors.h"

namespace tardigrad::emulation {

enum class Direction { forward, backward_data, backward_filter };

/// y = w * x and its derivatives. In the backward directions x, w and y describe dx, dw and dy just as well.
struct Convolution {
  cudnnTensorStruct x;
  cudnnFilterStruct w;
  cudnnTensorStruct y;
  cudnnConvolutionStruct how;

  int outputs_each() const { return w.size[0] / how.groups; }  // of a group
  int depth() const { return w.size[1] * w.size[2] * w.size[3]; }
  int pixels() const { return y.size[2] * y.size[3]; }
  /// The inputs under the filter at every pixel of the output, for one image and one group, in fp32.
  std::size_t unfolded_bytes() const {
    return static_cast<std::size_t>(pixels()) * static_cast<std::size_t>(depth()) * sizeof(float);
  }
};

/// One of the algorithms of a direction, by cuDNN's number. They differ in what they accept, in the workspace
/// they need and in the order in which they add, that is, in the last bits of their results.
struct Algorithm {
  int id;
  std::size_t parts;  ///< that the sum is cut into (see Parts)
  bool deterministic = true;
  std::size_t workspace_images = 0;  ///< images that are unfolded into the workspace at once, 0: none
  /// What the documentation's tables say that it accepts.
  bool channels_last = false;  ///< tensors and filter in NHWC
  bool bf16 = false;
  bool stride = false;     ///< other than 1
  bool dilation = false;   ///< other than 1
  int largest_filter = 0;  ///< 0: any
  bool only_square_3_or_5 = false;
  bool implemented = true;
};

std::span<const Algorithm> algorithms(Direction direction);

/// The sizes of y's dimensions that x, the filter and the convolution ask for.
std::array<int, 4> output_size(const cudnnTensorStruct& x, const cudnnFilterStruct& w,
                               const cudnnConvolutionStruct& how);

/// BAD_PARAM where the descriptors contradict each other.
cudnnStatus_t check(const Convolution& convolution);
/// NOT_SUPPORTED where the descriptors make sense, but not for this algorithm.
cudnnStatus_t check_supported(const Convolution& convolution, Direction direction,
                              const Algorithm& algorithm);

/// The workspace that the algorithm needs; it depends on the math type too.
std::size_t workspace_bytes(const Convolution& convolution, const Algorithm& algorithm);

/// out = alpha·result + beta·out; with beta 0, out is not read. `first` and `second` are x and w (forward), w
/// and dy (backward_data), or x and dy (backward_filter); out is y, dx or dw. Math other than FMA rounds
/// float inputs to TF32, as cuDNN does from Ampere on.
void compute(const Convolution& convolution, Direction direction, const Algorithm& algorithm, float alpha,
             const void* first, const void* second, float beta, void* out, void* workspace);

/// Holds what a direction reads and writes, by the names that compute() has for it.
struct ConvolutionData {
  const void* first;
  const void* second;
  void* out;
  void* workspace;
  std::size_t workspace_bytes;
};

/// Puts compute() on the handle's stream, for the library function `call`.
cudnnStatus_t enqueue_convolution(cudnnHandle_t handle, const char* call, const Convolution& convolution,
                                  Direction direction, const Algorithm& algorithm, float alpha, float beta,
                                  const ConvolutionData& data);

/// db = alpha·(dy summed over images and pixels) + beta·db, in fp32.
void bias_gradient(const cudnnTensorStruct& dy_tensor, const void* dy, float alpha, float beta,
                   const cudnnTensorStruct& db_tensor, void* db);

}  // namespace tardigrad::emulation
