#pragma once

/// Convolutions by cuDNN, for its tests.

#include <cudnn.h>
#include <gtest/gtest.h>

#include <ostream>
#include <vector>

#include "tests/cuda_emulation/device_array.h"

namespace tardigrad::emulation {

struct Case {
  const char* name;
  int n, c, h, w;
  int k, r, s;
  int pad_h = 0, pad_w = 0, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, groups = 1;
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  cudnnTensorFormat_t format = CUDNN_TENSOR_NCHW;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;

  int out_h() const { return (h + 2 * pad_h - dilation_h * (r - 1) - 1) / stride_h + 1; }
  int out_w() const { return (w + 2 * pad_w - dilation_w * (s - 1) - 1) / stride_w + 1; }
  int c_each() const { return c / groups; }
  Format number_format() const { return type == CUDNN_DATA_FLOAT ? Format::fp32 : Format::bf16; }
  /// Where an element lies in a packed tensor a × b × c × d of the case's format.
  std::size_t at(int b_size, int c_size, int d_size, int a_i, int b_i, int c_i, int d_i) const {
    return static_cast<std::size_t>(format == CUDNN_TENSOR_NCHW
                                        ? ((a_i * b_size + b_i) * c_size + c_i) * d_size + d_i
                                        : ((a_i * c_size + c_i) * d_size + d_i) * b_size + b_i);
  }
  std::size_t x_at(int i, int channel, int y, int z) const { return at(c, h, w, i, channel, y, z); }
  std::size_t w_at(int o, int channel, int y, int z) const { return at(c_each(), r, s, o, channel, y, z); }
  std::size_t y_at(int i, int o, int y, int z) const { return at(k, out_h(), out_w(), i, o, y, z); }
  std::size_t x_size() const { return static_cast<std::size_t>(n * c * h * w); }
  std::size_t w_size() const { return static_cast<std::size_t>(k * c_each() * r * s); }
  std::size_t y_size() const { return static_cast<std::size_t>(n * k * out_h() * out_w()); }
};

inline std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

/// Calls visit(x index, w index, y index) for every product that the definition of the convolution has.
template <typename Visit>
void define(const Case& c, Visit visit) {
  const bool flipped = c.mode == CUDNN_CONVOLUTION;
  for (int i = 0; i < c.n; ++i) {
    for (int o = 0; o < c.k; ++o) {
      for (int y = 0; y < c.out_h(); ++y) {
        for (int z = 0; z < c.out_w(); ++z) {
          for (int channel = 0; channel < c.c_each(); ++channel) {
            for (int r = 0; r < c.r; ++r) {
              for (int s = 0; s < c.s; ++s) {
                const int h = y * c.stride_h - c.pad_h + (flipped ? c.r - 1 - r : r) * c.dilation_h;
                const int w = z * c.stride_w - c.pad_w + (flipped ? c.s - 1 - s : s) * c.dilation_w;
                if (h < 0 || h >= c.h || w < 0 || w >= c.w) continue;
                const int group = o / (c.k / c.groups);
                visit(c.x_at(i, group * c.c_each() + channel, h, w), c.w_at(o, channel, r, s),
                      c.y_at(i, o, y, z));
              }
            }
          }
        }
      }
    }
  }
}

struct Descriptors {
  cudnnHandle_t handle = nullptr;
  cudnnTensorDescriptor_t x = nullptr;
  cudnnTensorDescriptor_t y = nullptr;
  cudnnFilterDescriptor_t w = nullptr;
  cudnnConvolutionDescriptor_t how = nullptr;

  explicit Descriptors(const Case& c, cudaStream_t stream, cudnnMathType_t math = CUDNN_FMA_MATH) {
    EXPECT_EQ(cudnnCreate(&handle), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetStream(handle, stream), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnCreateTensorDescriptor(&x), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnCreateTensorDescriptor(&y), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnCreateFilterDescriptor(&w), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnCreateConvolutionDescriptor(&how), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetTensor4dDescriptor(x, c.format, c.type, c.n, c.c, c.h, c.w), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetTensor4dDescriptor(y, c.format, c.type, c.n, c.k, c.out_h(), c.out_w()),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetFilter4dDescriptor(w, c.type, c.format, c.k, c.c_each(), c.r, c.s),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetConvolution2dDescriptor(how, c.pad_h, c.pad_w, c.stride_h, c.stride_w, c.dilation_h,
                                              c.dilation_w, c.mode, CUDNN_DATA_FLOAT),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetConvolutionMathType(how, math), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetConvolutionGroupCount(how, c.groups), CUDNN_STATUS_SUCCESS);
  }
  ~Descriptors() {
    cudnnDestroyConvolutionDescriptor(how);
    cudnnDestroyFilterDescriptor(w);
    cudnnDestroyTensorDescriptor(y);
    cudnnDestroyTensorDescriptor(x);
    cudnnDestroy(handle);
  }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
};

inline constexpr std::size_t test_workspace_bytes = 1 << 20;

/// x, w, dy and their results on the device.
struct Problem {
  Case c;
  Stream stream;
  Descriptors d;
  DeviceArray x, w, y, workspace{test_workspace_bytes};
  float alpha = 1;
  float beta = 0;

  explicit Problem(const Case& c_, std::vector<float> (*numbers)(std::size_t, unsigned) = small_numbers,
                   cudnnMathType_t math = CUDNN_FMA_MATH)
      : c(c_),
        d(c, stream, math),
        x(c.number_format(), numbers(c.x_size(), 1)),
        w(c.number_format(), numbers(c.w_size(), 2)),
        y(c.number_format(), numbers(c.y_size(), 3)) {}

  cudnnStatus_t forward(int algorithm) {
    return cudnnConvolutionForward(d.handle, &alpha, d.x, x.data(), d.w, w.data(), d.how,
                                   static_cast<cudnnConvolutionFwdAlgo_t>(algorithm), workspace.data(),
                                   workspace.bytes(), &beta, d.y, y.data());
  }
  cudnnStatus_t backward_data(int algorithm) {
    return cudnnConvolutionBackwardData(d.handle, &alpha, d.w, w.data(), d.y, y.data(), d.how,
                                        static_cast<cudnnConvolutionBwdDataAlgo_t>(algorithm),
                                        workspace.data(), workspace.bytes(), &beta, d.x, x.data());
  }
  cudnnStatus_t backward_filter(int algorithm) {
    return cudnnConvolutionBackwardFilter(d.handle, &alpha, d.x, x.data(), d.y, y.data(), d.how,
                                          static_cast<cudnnConvolutionBwdFilterAlgo_t>(algorithm),
                                          workspace.data(), workspace.bytes(), &beta, d.w, w.data());
  }
};

/// alpha·result + beta·before, as stored.
inline std::vector<float> scaled(Format format, const std::vector<double>& result,
                                 const std::vector<float>& before, double alpha, double beta) {
  std::vector<float> values;
  for (std::size_t i = 0; i < result.size(); ++i) {
    values.push_back(
        stored(format, static_cast<float>(alpha * result[i] + beta * static_cast<double>(before[i]))));
  }
  return values;
}

inline constexpr auto nhwc = CUDNN_TENSOR_NHWC;
inline constexpr auto bf16 = CUDNN_DATA_BFLOAT16;
inline constexpr Case small{
    .name = "small", .n = 4, .c = 3, .h = 6, .w = 6, .k = 8, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
inline constexpr Case small_nhwc{.name = "small",
                                 .n = 4,
                                 .c = 3,
                                 .h = 6,
                                 .w = 6,
                                 .k = 8,
                                 .r = 3,
                                 .s = 3,
                                 .pad_h = 1,
                                 .pad_w = 1,
                                 .format = nhwc};

}  // namespace tardigrad::emulation
