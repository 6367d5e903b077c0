// Which convolutions each algorithm of cuDNN accepts, by the tables of its documentation (cudnn_cnn library,
// under cudnnConvolutionForward, …BackwardData and …BackwardFilter).
#include <algorithm>

#include "tests/cuda_emulation/cudnn_convolution.h"

namespace tardigrad::emulation {
namespace {

// Their order is that of the heuristics (…Algorithm_v7), the fastest first.
constexpr Algorithm forward_algorithms[] = {
    {.id = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
     .parts = 2,
     .workspace_images = 1,
     .channels_last = true,
     .bf16 = true,
     .stride = true},
    {.id = CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD, .parts = 4, .largest_filter = 3, .only_square_3_or_5 = true},
    {.id = CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED,
     .parts = 7,
     .workspace_images = 4,
     .largest_filter = 5,
     .only_square_3_or_5 = true},
    {.id = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
     .parts = 1,
     .channels_last = true,
     .bf16 = true,
     .stride = true,
     .dilation = true},
    {.id = CUDNN_CONVOLUTION_FWD_ALGO_GEMM, .parts = 3, .workspace_images = 2, .stride = true},
    {.id = CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING, .parts = 6, .workspace_images = 3, .largest_filter = 32},
    {.id = CUDNN_CONVOLUTION_FWD_ALGO_FFT, .parts = 5, .workspace_images = 8, .largest_filter = 256},
    {.id = CUDNN_CONVOLUTION_FWD_ALGO_DIRECT, .parts = 1, .implemented = false},
};

constexpr Algorithm backward_data_algorithms[] = {
    {.id = CUDNN_CONVOLUTION_BWD_DATA_ALGO_0,
     .parts = 4,
     .deterministic = false,
     .channels_last = true,
     .bf16 = true,
     .stride = true,
     .dilation = true},
    {.id = CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
     .parts = 2,
     .workspace_images = 1,
     .channels_last = true,
     .bf16 = true,
     .stride = true,
     .dilation = true},
    {.id = CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD,
     .parts = 3,
     .largest_filter = 3,
     .only_square_3_or_5 = true},
    {.id = CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED,
     .parts = 7,
     .workspace_images = 4,
     .largest_filter = 5,
     .only_square_3_or_5 = true},
    {.id = CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING,
     .parts = 6,
     .workspace_images = 3,
     .largest_filter = 32},
    {.id = CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT, .parts = 5, .workspace_images = 8, .largest_filter = 256},
};

constexpr Algorithm backward_filter_algorithms[] = {
    {.id = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0,
     .parts = 4,
     .deterministic = false,
     .channels_last = true,
     .bf16 = true,
     .stride = true,
     .dilation = true},
    {.id = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
     .parts = 2,
     .workspace_images = 1,
     .channels_last = true,
     .bf16 = true,
     .stride = true,
     .dilation = true},
    {.id = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3,
     .parts = 8,
     .deterministic = false,
     .workspace_images = 1,
     .stride = true},
    {.id = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED,
     .parts = 7,
     .workspace_images = 4,
     .largest_filter = 5,
     .only_square_3_or_5 = true},
    {.id = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING,
     .parts = 6,
     .workspace_images = 3,
     .largest_filter = 32},
    {.id = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT, .parts = 5, .workspace_images = 8, .largest_filter = 256},
    {.id = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD, .parts = 1, .implemented = false},
};

cudnnStatus_t unsupported(const char* why) { return cudnn_failure(CUDNN_STATUS_NOT_SUPPORTED, why); }

bool all_one(const std::array<int, 2>& values) { return values[0] == 1 && values[1] == 1; }

bool fits_filter(const Algorithm& algorithm, int r, int s) {
  if (algorithm.only_square_3_or_5 && (r != s || (r != 3 && r != 5))) return false;
  return algorithm.largest_filter == 0 || std::max(r, s) <= algorithm.largest_filter;
}

}  // namespace

std::span<const Algorithm> algorithms(Direction direction) {
  switch (direction) {
    case Direction::forward:
      return forward_algorithms;
    case Direction::backward_data:
      return backward_data_algorithms;
    default:
      return backward_filter_algorithms;
  }
}

std::array<int, 4> output_size(const cudnnTensorStruct& x, const cudnnFilterStruct& w,
                               const cudnnConvolutionStruct& how) {
  std::array<int, 4> size{x.size[0], w.size[0], 0, 0};
  for (std::size_t i = 0; i < 2; ++i) {
    const int reach = how.dilation[i] * (w.size[i + 2] - 1) + 1;
    const int room = x.size[i + 2] + 2 * how.pad[i] - reach;
    size[i + 2] = room < 0 ? 0 : room / how.stride[i] + 1;
  }
  return size;
}

cudnnStatus_t check(const Convolution& convolution) {
  const auto& [x, w, y, how] = convolution;
  if (x.size[0] == 0 || w.size[0] == 0 || y.size[0] == 0 || how.stride[0] == 0) {
    return cudnn_bad_parameter("a descriptor is not set");
  }
  if (x.type != w.type || x.type != y.type) return cudnn_bad_parameter("x, w and y must be of one data type");
  if (how.compute_type != CUDNN_DATA_FLOAT) {
    return cudnn_bad_parameter("float and bfloat16 are computed in CUDNN_DATA_FLOAT");
  }
  if (x.size[1] != w.size[1] * how.groups) {
    return cudnn_bad_parameter("x must have the filter's channels times the groups");
  }
  if (w.size[0] % how.groups != 0) return cudnn_bad_parameter("the groups must divide the filter's outputs");
  if (y.size != output_size(x, w, how)) {
    return cudnn_bad_parameter("y is not of the size that x, w and the convolution give");
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_supported(const Convolution& convolution, Direction direction,
                              const Algorithm& algorithm) {
  const auto& [x, w, y, how] = convolution;
  if (!algorithm.implemented) return unsupported("cuDNN does not implement this algorithm");
  if (w.format == CUDNN_TENSOR_NHWC) {
    if (!algorithm.channels_last) return unsupported("this algorithm takes no filter in NHWC");
    if (!x.packed(true) || !y.packed(true)) {
      return unsupported("a filter in NHWC takes packed tensors in NHWC");
    }
  } else {
    // Forward, the implicit algorithms take tensors with any strides; all others only NCHW.
    const bool any_strides = direction == Direction::forward && algorithm.channels_last;
    if (!any_strides && (!x.packed(false) || !y.packed(false))) {
      return unsupported("this algorithm with a filter in NCHW takes packed tensors in NCHW");
    }
  }
  if (x.type == CUDNN_DATA_BFLOAT16 && !algorithm.bf16) {
    return unsupported("this algorithm takes no bfloat16");
  }
  if (!all_one(how.stride) && !algorithm.stride) return unsupported("this algorithm takes no stride");
  if (!all_one(how.dilation) && !algorithm.dilation) return unsupported("this algorithm takes no dilation");
  if (!fits_filter(algorithm, w.size[2], w.size[3])) {
    return unsupported("this algorithm takes no such filter size");
  }
  return CUDNN_STATUS_SUCCESS;
}

std::size_t workspace_bytes(const Convolution& convolution, const Algorithm& algorithm) {
  const std::size_t bytes = algorithm.workspace_images * convolution.unfolded_bytes();
  // Tensor cores are given tiles that are put in order beforehand: room for the filter as fp32.
  const bool tensor_cores = convolution.how.math != CUDNN_FMA_MATH;
  const auto outputs = static_cast<std::size_t>(convolution.w.size[0]);
  return bytes +
         (tensor_cores && bytes > 0 ? outputs * static_cast<std::size_t>(convolution.depth()) * 4 : 0);
}

}  // namespace tardigrad::emulation
