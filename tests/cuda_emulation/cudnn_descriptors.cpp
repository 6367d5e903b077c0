// Handles, descriptors and error texts of cuDNN.
#include "tests/cuda_emulation/cudnn_descriptors.h"

#include <algorithm>
#include <cstdio>
#include <string>

namespace tardigrad::emulation {
namespace {

thread_local std::string last_cudnn_failure;

bool any_below(int least, std::initializer_list<int> values) { return std::min(values) < least; }

/// The types that the emulation computes with.
bool known(cudnnDataType_t type) { return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_BFLOAT16; }

template <typename Descriptor>
cudnnStatus_t create_descriptor(Descriptor** descriptor) {
  if (!descriptor) return cudnn_null_pointer();
  *descriptor = new Descriptor;
  return CUDNN_STATUS_SUCCESS;
}

template <typename Descriptor>
cudnnStatus_t destroy_descriptor(Descriptor* descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

cudnnStatus_t cudnn_failure(cudnnStatus_t status, const char* why) {
  last_cudnn_failure = why;
  return status;
}

cudnnStatus_t cudnn_bad_parameter(const char* why) { return cudnn_failure(CUDNN_STATUS_BAD_PARAM, why); }

cudnnStatus_t cudnn_null_pointer() {
  return cudnn_failure(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "null pointer");
}

std::array<int, 4> packed_strides(const std::array<int, 4>& size, bool channels_last) {
  const auto [n, c, h, w] = size;
  if (channels_last) return {h * w * c, 1, w * c, c};
  return {c * h * w, h * w, w, 1};
}

}  // namespace tardigrad::emulation

using namespace tardigrad::emulation;

std::size_t cudnnTensorStruct::extent() const {
  std::size_t last = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    last += static_cast<std::size_t>(size[i] - 1) * static_cast<std::size_t>(stride[i]);
  }
  return last + 1;
}

bool cudnnTensorStruct::packed(bool channels_last) const {
  const std::array<int, 4> wanted = packed_strides(size, channels_last);
  for (std::size_t i = 0; i < 4; ++i) {
    if (size[i] != 1 && stride[i] != wanted[i]) return false;
  }
  return true;
}

cudnnTensorStruct cudnnFilterStruct::tensor() const {
  return {type, size, packed_strides(size, format == CUDNN_TENSOR_NHWC)};
}

size_t cudnnGetVersion() { return CUDNN_VERSION; }
size_t cudnnGetCudartVersion() { return CUDART_VERSION; }

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (CUDNN_STATUS_CATEGORY(status)) {
    case 0:
      return "CUDNN_STATUS_SUCCESS";
    case 1000:
      return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_INTERNAL_ERROR:
      return "CUDNN_STATUS_INTERNAL_ERROR";
    case CUDNN_STATUS_EXECUTION_FAILED:
      return "CUDNN_STATUS_EXECUTION_FAILED";
    default:
      return "CUDNN_UNKNOWN_STATUS";
  }
}

void cudnnGetLastErrorString(char* message, size_t max_size) {
  if (message && max_size > 0) std::snprintf(message, max_size, "%s", last_cudnn_failure.c_str());
  last_cudnn_failure.clear();
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  if (!handle) return cudnn_null_pointer();
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) {
    return cudnn_failure(CUDNN_STATUS_NOT_INITIALIZED, "no usable device");
  }
  *handle = new cudnnContext{device, nullptr};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { return destroy_descriptor(handle); }

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  if (!handle) return cudnn_null_pointer();
  int device = -1;
  if (cudaStreamGetDevice(stream, &device) != cudaSuccess || device != handle->device) {
    return cudnn_failure(CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH,
                         "the stream is of another device than the handle");
  }
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  if (!handle || !stream) return cudnn_null_pointer();
  *stream = handle->stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* descriptor) {
  return create_descriptor(descriptor);
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t descriptor) {
  return destroy_descriptor(descriptor);
}

cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t descriptor, cudnnDataType_t type, int n,
                                           int c, int h, int w, int n_stride, int c_stride, int h_stride,
                                           int w_stride) {
  if (!descriptor) return cudnn_null_pointer();
  if (any_below(1, {n, c, h, w, n_stride, c_stride, h_stride, w_stride})) {
    return cudnn_bad_parameter("sizes and strides of a tensor must be positive");
  }
  if (!known(type)) return cudnn_failure(CUDNN_STATUS_NOT_SUPPORTED, "emulated are float and bfloat16");
  *descriptor = {type, {n, c, h, w}, {n_stride, c_stride, h_stride, w_stride}};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t descriptor, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NCHW && format != CUDNN_TENSOR_NHWC) {
    return cudnn_failure(CUDNN_STATUS_NOT_SUPPORTED, "emulated are the formats NCHW and NHWC");
  }
  const auto stride = packed_strides({n, c, h, w}, format == CUDNN_TENSOR_NHWC);
  return cudnnSetTensor4dDescriptorEx(descriptor, type, n, c, h, w, stride[0], stride[1], stride[2],
                                      stride[3]);
}

cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t descriptor, cudnnDataType_t type,
                                         int dimensions, const int size[], const int stride[]) {
  if (!size || !stride) return cudnn_null_pointer();
  if (dimensions != 4) {
    return cudnn_failure(CUDNN_STATUS_NOT_SUPPORTED, "emulated are tensors of four dimensions");
  }
  return cudnnSetTensor4dDescriptorEx(descriptor, type, size[0], size[1], size[2], size[3], stride[0],
                                      stride[1], stride[2], stride[3]);
}

cudnnStatus_t cudnnGetTensor4dDescriptor(const cudnnTensorDescriptor_t descriptor, cudnnDataType_t* type,
                                         int* n, int* c, int* h, int* w, int* n_stride, int* c_stride,
                                         int* h_stride, int* w_stride) {
  if (!descriptor || !type) return cudnn_null_pointer();
  *type = descriptor->type;
  int* const sizes[] = {n, c, h, w};
  int* const strides[] = {n_stride, c_stride, h_stride, w_stride};
  for (std::size_t i = 0; i < 4; ++i) {
    if (!sizes[i] || !strides[i]) return cudnn_null_pointer();
    *sizes[i] = descriptor->size[i];
    *strides[i] = descriptor->stride[i];
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetTensorSizeInBytes(const cudnnTensorDescriptor_t descriptor, size_t* bytes) {
  if (!descriptor || !bytes) return cudnn_null_pointer();
  *bytes = descriptor->size[0] == 0 ? 0 : descriptor->extent() * bytes_of(format_of(descriptor->type));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* descriptor) {
  return create_descriptor(descriptor);
}
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t descriptor) {
  return destroy_descriptor(descriptor);
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t descriptor, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  if (!descriptor) return cudnn_null_pointer();
  if (any_below(1, {k, c, h, w})) return cudnn_bad_parameter("sizes of a filter must be positive");
  if (!known(type) || (format != CUDNN_TENSOR_NCHW && format != CUDNN_TENSOR_NHWC)) {
    return cudnn_failure(CUDNN_STATUS_NOT_SUPPORTED, "emulated are float and bfloat16, NCHW and NHWC");
  }
  *descriptor = {type, format, {k, c, h, w}};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* descriptor) {
  return create_descriptor(descriptor);
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t descriptor) {
  return destroy_descriptor(descriptor);
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t descriptor, int pad_h, int pad_w,
                                              int stride_h, int stride_w, int dilation_h, int dilation_w,
                                              cudnnConvolutionMode_t mode, cudnnDataType_t compute_type) {
  if (!descriptor) return cudnn_null_pointer();
  if (any_below(0, {pad_h, pad_w}) || any_below(1, {stride_h, stride_w, dilation_h, dilation_w})) {
    return cudnn_bad_parameter("padding must be >= 0, strides and dilations >= 1");
  }
  if (mode != CUDNN_CONVOLUTION && mode != CUDNN_CROSS_CORRELATION) {
    return cudnn_bad_parameter("unknown convolution mode");
  }
  // Math type and groups, which have setters of their own, stay.
  descriptor->pad = {pad_h, pad_w};
  descriptor->stride = {stride_h, stride_w};
  descriptor->dilation = {dilation_h, dilation_w};
  descriptor->mode = mode;
  descriptor->compute_type = compute_type;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t descriptor, cudnnMathType_t math) {
  if (!descriptor) return cudnn_null_pointer();
  if (math < CUDNN_DEFAULT_MATH || math > CUDNN_FMA_MATH) return cudnn_bad_parameter("unknown math type");
  descriptor->math = math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionMathType(cudnnConvolutionDescriptor_t descriptor, cudnnMathType_t* math) {
  if (!descriptor || !math) return cudnn_null_pointer();
  *math = descriptor->math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t descriptor, int groups) {
  if (!descriptor) return cudnn_null_pointer();
  if (groups < 1) return cudnn_bad_parameter("there must be a group");
  descriptor->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionGroupCount(cudnnConvolutionDescriptor_t descriptor, int* groups) {
  if (!descriptor || !groups) return cudnn_null_pointer();
  *groups = descriptor->groups;
  return CUDNN_STATUS_SUCCESS;
}
