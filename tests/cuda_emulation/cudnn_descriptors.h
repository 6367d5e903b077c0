#pragma once

#include <cudnn.h>

#include <array>
#include <cstddef>

#include "tests/cuda_emulation/number_formats.h"

/// What cuDNN's opaque handles and descriptors are in the emulation. A size of 0 says that it was never set.
struct cudnnContext {
  int device = 0;  // the current one when it was created
  cudaStream_t stream = nullptr;
};

struct cudnnTensorStruct {
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  std::array<int, 4> size{};    // n, c, h, w
  std::array<int, 4> stride{};  // of the same, in elements

  /// The elements from the first to the last.
  std::size_t extent() const;
  /// Whether the elements lie without gaps with w (channels_last: c) running fastest. The stride of a
  /// dimension of size 1 doesn't matter.
  bool packed(bool channels_last) const;
};

struct cudnnFilterStruct {
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  cudnnTensorFormat_t format = CUDNN_TENSOR_NCHW;
  std::array<int, 4> size{};  // outputs k, inputs c (of one group), rows r, columns s

  /// As a packed tensor of k × c × r × s, with c running fastest in the format NHWC.
  cudnnTensorStruct tensor() const;
};

struct cudnnConvolutionStruct {
  std::array<int, 2> pad{};
  std::array<int, 2> stride{};
  std::array<int, 2> dilation{};
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  cudnnDataType_t compute_type = CUDNN_DATA_FLOAT;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  int groups = 1;
};

namespace tardigrad::emulation {

/// Returns `status`, with `why` for the thread's cudnnGetLastErrorString().
cudnnStatus_t cudnn_failure(cudnnStatus_t status, const char* why);
cudnnStatus_t cudnn_bad_parameter(const char* why);
cudnnStatus_t cudnn_null_pointer();

/// The strides of a packed tensor, with w (channels_last: c) running fastest.
std::array<int, 4> packed_strides(const std::array<int, 4>& size, bool channels_last);

inline Format format_of(cudnnDataType_t type) {
  return type == CUDNN_DATA_BFLOAT16 ? Format::bf16 : Format::fp32;
}

}  // namespace tardigrad::emulation
