#include <cudnn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>

#include "tests/cuda_emulation/device_array.h"
#include "tests/cuda_emulation/faults.h"

namespace tardigrad::emulation {
namespace {

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

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

/// Calls visit(x index, w index, y index) for every product that the definition of the convolution has.
template <typename Visit>
void define(const Case& c, Visit visit) {
  const bool flipped = c.mode == CUDNN_CONVOLUTION;
  for (int i = 0; i < c.n; ++i)
    for (int o = 0; o < c.k; ++o)
      for (int y = 0; y < c.out_h(); ++y)
        for (int z = 0; z < c.out_w(); ++z)
          for (int channel = 0; channel < c.c_each(); ++channel)
            for (int r = 0; r < c.r; ++r)
              for (int s = 0; s < c.s; ++s) {
                const int h = y * c.stride_h - c.pad_h + (flipped ? c.r - 1 - r : r) * c.dilation_h;
                const int w = z * c.stride_w - c.pad_w + (flipped ? c.s - 1 - s : s) * c.dilation_w;
                if (h < 0 || h >= c.h || w < 0 || w >= c.w) continue;
                const int group = o / (c.k / c.groups);
                visit(c.x_at(i, group * c.c_each() + channel, h, w), c.w_at(o, channel, r, s),
                      c.y_at(i, o, y, z));
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

constexpr std::size_t workspace_bytes = 1 << 20;

/// x, w, dy and their results on the device.
struct Problem {
  Case c;
  Stream stream;
  Descriptors d;
  DeviceArray x, w, y, workspace{workspace_bytes};
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
std::vector<float> scaled(Format format, const std::vector<double>& result, const std::vector<float>& before,
                          double alpha, double beta) {
  std::vector<float> values;
  for (std::size_t i = 0; i < result.size(); ++i) {
    values.push_back(
        stored(format, static_cast<float>(alpha * result[i] + beta * static_cast<double>(before[i]))));
  }
  return values;
}

class Convolutions : public testing::TestWithParam<Case> {};

TEST_P(Convolutions, ForwardIsItsDefinitionByEveryAlgorithm) {
  int supported = 0;
  for (int algorithm = 0; algorithm < CUDNN_CONVOLUTION_FWD_ALGO_COUNT; ++algorithm) {
    Problem p(GetParam());
    p.alpha = 2;
    p.beta = -0.5F;
    const auto x = p.x.values();
    const auto w = p.w.values();
    const auto before = p.y.values();
    const cudnnStatus_t status = p.forward(algorithm);
    if (status == CUDNN_STATUS_NOT_SUPPORTED) continue;
    ASSERT_EQ(status, CUDNN_STATUS_SUCCESS);
    ++supported;
    p.stream.synchronize();
    std::vector<double> y(p.c.y_size());
    define(p.c, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
      y[yi] += static_cast<double>(x[xi] * w[wi]);
    });
    EXPECT_EQ(p.y.values(), scaled(p.c.number_format(), y, before, 2, -0.5)) << "algorithm " << algorithm;
  }
  EXPECT_GE(supported, 1);
}

TEST_P(Convolutions, BackwardDataIsItsDefinitionByEveryAlgorithm) {
  int supported = 0;
  for (int algorithm = 0; algorithm < CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT; ++algorithm) {
    Problem p(GetParam());
    const auto w = p.w.values();
    const auto dy = p.y.values();
    const auto before = p.x.values();
    const cudnnStatus_t status = p.backward_data(algorithm);
    if (status == CUDNN_STATUS_NOT_SUPPORTED) continue;
    ASSERT_EQ(status, CUDNN_STATUS_SUCCESS);
    ++supported;
    p.stream.synchronize();
    std::vector<double> dx(p.c.x_size());
    define(p.c, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
      dx[xi] += static_cast<double>(w[wi] * dy[yi]);
    });
    EXPECT_EQ(p.x.values(), scaled(p.c.number_format(), dx, before, 1, 0)) << "algorithm " << algorithm;
  }
  EXPECT_GE(supported, 2);
}

TEST_P(Convolutions, BackwardFilterIsItsDefinitionByEveryAlgorithm) {
  int supported = 0;
  for (int algorithm = 0; algorithm < CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT; ++algorithm) {
    Problem p(GetParam());
    p.beta = 1;
    const auto x = p.x.values();
    const auto dy = p.y.values();
    const auto before = p.w.values();
    const cudnnStatus_t status = p.backward_filter(algorithm);
    if (status == CUDNN_STATUS_NOT_SUPPORTED) continue;
    ASSERT_EQ(status, CUDNN_STATUS_SUCCESS);
    ++supported;
    p.stream.synchronize();
    std::vector<double> dw(p.c.w_size());
    define(p.c, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
      dw[wi] += static_cast<double>(x[xi] * dy[yi]);
    });
    EXPECT_EQ(p.w.values(), scaled(p.c.number_format(), dw, before, 1, 1)) << "algorithm " << algorithm;
  }
  EXPECT_GE(supported, 2);
}

constexpr auto nhwc = CUDNN_TENSOR_NHWC;
constexpr auto bf16 = CUDNN_DATA_BFLOAT16;
INSTANTIATE_TEST_SUITE_P(
    Shapes, Convolutions,
    testing::Values(
        Case{.name = "odd", .n = 3, .c = 5, .h = 7, .w = 9, .k = 11, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
        Case{.name = "one_pixel", .n = 2, .c = 3, .h = 3, .w = 3, .k = 2, .r = 3, .s = 3},
        Case{.name = "oblong",
             .n = 2,
             .c = 3,
             .h = 8,
             .w = 5,
             .k = 37,
             .r = 1,
             .s = 4,
             .pad_w = 2,
             .format = nhwc},
        Case{.name = "strided",
             .n = 2,
             .c = 4,
             .h = 9,
             .w = 10,
             .k = 6,
             .r = 5,
             .s = 5,
             .pad_h = 2,
             .pad_w = 2,
             .stride_h = 2,
             .stride_w = 3},
        Case{.name = "dilated",
             .n = 2,
             .c = 3,
             .h = 9,
             .w = 8,
             .k = 4,
             .r = 3,
             .s = 2,
             .pad_h = 2,
             .pad_w = 1,
             .dilation_h = 2,
             .dilation_w = 3,
             .format = nhwc},
        Case{.name = "flipped",
             .n = 2,
             .c = 3,
             .h = 6,
             .w = 5,
             .k = 4,
             .r = 3,
             .s = 2,
             .pad_h = 1,
             .pad_w = 1,
             .mode = CUDNN_CONVOLUTION},
        Case{.name = "groups",
             .n = 2,
             .c = 6,
             .h = 5,
             .w = 6,
             .k = 9,
             .r = 3,
             .s = 3,
             .pad_h = 1,
             .pad_w = 1,
             .groups = 3,
             .format = nhwc},
        Case{.name = "bf16",
             .n = 3,
             .c = 3,
             .h = 6,
             .w = 7,
             .k = 8,
             .r = 3,
             .s = 3,
             .pad_h = 1,
             .pad_w = 1,
             .type = bf16},
        Case{.name = "bf16_nhwc",
             .n = 3,
             .c = 5,
             .h = 6,
             .w = 7,
             .k = 33,
             .r = 3,
             .s = 3,
             .pad_h = 1,
             .pad_w = 1,
             .format = nhwc,
             .type = bf16}),
    testing::PrintToStringParamName());

constexpr Case small{
    .name = "small", .n = 4, .c = 3, .h = 6, .w = 6, .k = 8, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
constexpr Case small_nhwc{.name = "small",
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

TEST(Cudnn, TensorsMayHaveGapsForwardWithAFilterInNchw) {
  Problem p(small);
  // y in NHWC, with a channel of room between the pixels.
  ASSERT_EQ(cudnnSetTensor4dDescriptorEx(p.d.y, CUDNN_DATA_FLOAT, 4, 8, 6, 6, 6 * 6 * 9, 1, 6 * 9, 9),
            CUDNN_STATUS_SUCCESS);
  const DeviceArray y(Format::fp32, std::vector<float>(4 * 6 * 6 * 9, 5));
  ASSERT_EQ(p.forward(CUDNN_CONVOLUTION_FWD_ALGO_GEMM), CUDNN_STATUS_NOT_SUPPORTED);
  ASSERT_EQ(
      cudnnConvolutionForward(p.d.handle, &p.alpha, p.d.x, p.x.data(), p.d.w, p.w.data(), p.d.how,
                              CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, nullptr, 0, &p.beta, p.d.y, y.data()),
      CUDNN_STATUS_SUCCESS);
  p.stream.synchronize();
  const auto x = p.x.values();
  const auto w = p.w.values();
  std::vector<double> packed(p.c.y_size());
  define(p.c, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
    packed[yi] += static_cast<double>(x[xi] * w[wi]);
  });
  const auto values = y.values();
  for (int i = 0; i < 4; ++i)
    for (int pixel = 0; pixel < 36; ++pixel)
      for (int o = 0; o < 9; ++o) {
        const double wanted = o == 8 ? 5 : packed[static_cast<std::size_t>((i * 8 + o) * 36 + pixel)];
        ASSERT_EQ(static_cast<double>(values[static_cast<std::size_t>((i * 36 + pixel) * 9 + o)]), wanted);
      }
}

TEST(Cudnn, TensorDescriptorsAreAsTheyWereSet) {
  cudnnTensorDescriptor_t tensor = nullptr;
  ASSERT_EQ(cudnnCreateTensorDescriptor(&tensor), CUDNN_STATUS_SUCCESS);
  const auto expect = [&](std::vector<int> wanted, std::size_t wanted_bytes) {
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    std::vector<int> got(8);
    ASSERT_EQ(cudnnGetTensor4dDescriptor(tensor, &type, &got[0], &got[1], &got[2], &got[3], &got[4], &got[5],
                                         &got[6], &got[7]),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(type, bf16);
    EXPECT_EQ(got, wanted);
    std::size_t bytes = 0;
    EXPECT_EQ(cudnnGetTensorSizeInBytes(tensor, &bytes), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(bytes, wanted_bytes);
  };
  ASSERT_EQ(cudnnSetTensor4dDescriptor(tensor, CUDNN_TENSOR_NCHW, bf16, 2, 3, 4, 5), CUDNN_STATUS_SUCCESS);
  expect({2, 3, 4, 5, 60, 20, 5, 1}, 240);
  ASSERT_EQ(cudnnSetTensor4dDescriptor(tensor, nhwc, bf16, 2, 3, 4, 5), CUDNN_STATUS_SUCCESS);
  expect({2, 3, 4, 5, 60, 1, 15, 3}, 240);
  const int size[] = {2, 3, 4, 5};
  const int stride[] = {100, 25, 6, 1};
  ASSERT_EQ(cudnnSetTensorNdDescriptor(tensor, bf16, 4, size, stride), CUDNN_STATUS_SUCCESS);
  expect({2, 3, 4, 5, 100, 25, 6, 1}, 2 * (100 + 50 + 18 + 4 + 1));
  cudnnDestroyTensorDescriptor(tensor);
}

TEST(Cudnn, BetaZeroDoesNotReadTheOutput) {
  Problem p(small, [](std::size_t size, unsigned) { return std::vector<float>(size, 1); });
  const DeviceArray y(Format::fp32,
                      std::vector<float>(p.c.y_size(), std::numeric_limits<float>::quiet_NaN()));
  ASSERT_EQ(
      cudnnConvolutionForward(p.d.handle, &p.alpha, p.d.x, p.x.data(), p.d.w, p.w.data(), p.d.how,
                              CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, nullptr, 0, &p.beta, p.d.y, y.data()),
      CUDNN_STATUS_SUCCESS);
  p.stream.synchronize();
  for (const float value : y.values()) ASSERT_FALSE(std::isnan(value));
}

TEST(Cudnn, DefaultMathRoundsFloatsToTf32AndFmaMathDoesNot) {
  const auto almost_one = [](std::size_t size, unsigned) {
    return std::vector<float>(size, 1 + std::ldexp(1.0F, -12));
  };
  constexpr Case one{.name = "one", .n = 1, .c = 1, .h = 1, .w = 1, .k = 1, .r = 1, .s = 1};
  for (const cudnnMathType_t math : {CUDNN_DEFAULT_MATH, CUDNN_TENSOR_OP_MATH, CUDNN_FMA_MATH}) {
    Problem p(one, almost_one, math);
    ASSERT_EQ(p.forward(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM), CUDNN_STATUS_SUCCESS);
    p.stream.synchronize();
    if (math == CUDNN_FMA_MATH) {
      EXPECT_GT(p.y.values()[0], 1.0F);
    } else {
      EXPECT_EQ(p.y.values()[0], 1.0F);
    }
  }
}

/// The different results, bit by bit, of eight runs.
template <typename Run>
std::size_t different_results(Run run) {
  std::vector<std::vector<std::uint32_t>> results;
  for (int i = 0; i < 8; ++i) {
    const auto bits = run();
    if (std::ranges::find(results, bits) == results.end()) results.push_back(bits);
  }
  return results.size();
}

TEST(Cudnn, WhatIsNotDeterministicDiffersFromRunToRunAndTheRestDoesNot) {
  const auto filter_gradient = [](int algorithm) {
    return [algorithm] {
      Problem p(small_nhwc, full_numbers);
      EXPECT_EQ(p.backward_filter(algorithm), CUDNN_STATUS_SUCCESS);
      p.stream.synchronize();
      return bits_of(p.w.values());
    };
  };
  const auto data_gradient = [](int algorithm) {
    return [algorithm] {
      Problem p(small_nhwc, full_numbers);
      EXPECT_EQ(p.backward_data(algorithm), CUDNN_STATUS_SUCCESS);
      p.stream.synchronize();
      return bits_of(p.x.values());
    };
  };
  EXPECT_GT(different_results(filter_gradient(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0)), 1U);
  EXPECT_EQ(different_results(filter_gradient(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1)), 1U);
  EXPECT_GT(different_results(data_gradient(CUDNN_CONVOLUTION_BWD_DATA_ALGO_0)), 1U);
  EXPECT_EQ(different_results(data_gradient(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1)), 1U);
}

TEST(Cudnn, FindRunsTheAlgorithmsAndLeavesTheOutputArbitrary) {
  Problem p(small_nhwc, full_numbers, CUDNN_DEFAULT_MATH);
  int count = 0;
  ASSERT_EQ(cudnnGetConvolutionForwardAlgorithmMaxCount(p.d.handle, &count), CUDNN_STATUS_SUCCESS);
  std::vector<cudnnConvolutionFwdAlgoPerf_t> results(static_cast<std::size_t>(count));
  int returned = 0;
  ASSERT_EQ(cudnnFindConvolutionForwardAlgorithmEx(p.d.handle, p.d.x, p.x.data(), p.d.w, p.w.data(), p.d.how,
                                                   p.d.y, p.y.data(), count, &returned, results.data(),
                                                   p.workspace.data(), p.workspace.bytes()),
            CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(returned, count);
  int succeeded = 0;
  for (int i = 0; i < returned; ++i) {
    const auto& result = results[static_cast<std::size_t>(i)];
    if (result.status != CUDNN_STATUS_SUCCESS) {
      EXPECT_EQ(result.time, -1.0F);
      continue;
    }
    EXPECT_EQ(succeeded++, i) << "failures come last";
    EXPECT_GT(result.time, 0.0F);
    EXPECT_GE(result.time, results[static_cast<std::size_t>(std::max(i - 1, 0))].time);
    ASSERT_EQ(cudnnSetConvolutionMathType(p.d.how, result.mathType), CUDNN_STATUS_SUCCESS);
    std::size_t bytes = 0;
    ASSERT_EQ(cudnnGetConvolutionForwardWorkspaceSize(p.d.handle, p.d.x, p.d.w, p.d.how, p.d.y, result.algo,
                                                      &bytes),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(result.memory, bytes);
  }
  EXPECT_EQ(succeeded, 4) << "two implicit algorithms in two math types";
  EXPECT_TRUE(std::isnan(p.y.values()[0]));
}

TEST(Cudnn, FindReportsAlgorithmsThatTheWorkspaceIsTooSmallFor) {
  Problem p(small);
  std::vector<cudnnConvolutionBwdFilterAlgoPerf_t> results(16);
  int returned = 0;
  ASSERT_EQ(cudnnFindConvolutionBackwardFilterAlgorithmEx(p.d.handle, p.d.x, p.x.data(), p.d.y, p.y.data(),
                                                          p.d.how, p.d.w, p.w.data(), 16, &returned,
                                                          results.data(), nullptr, 0),
            CUDNN_STATUS_SUCCESS);
  int without_workspace = 0;
  int refused = 0;
  for (const auto& result : std::vector(results.begin(), results.begin() + returned)) {
    if (result.status == CUDNN_STATUS_SUCCESS) {
      EXPECT_EQ(result.memory, 0U);
      ++without_workspace;
    } else if (result.status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED) {
      EXPECT_GT(result.memory, 0U);
      ++refused;
    }
  }
  EXPECT_GE(without_workspace, 1);
  EXPECT_GE(refused, 1);
}

TEST(Cudnn, HeuristicsNameWhatIsDeterministic) {
  Problem p(small_nhwc);
  cudnnConvolutionBwdFilterAlgoPerf_t results[2];
  int returned = 0;
  ASSERT_EQ(cudnnGetConvolutionBackwardFilterAlgorithm_v7(p.d.handle, p.d.x, p.d.y, p.d.how, p.d.w, 2,
                                                          &returned, results),
            CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(returned, 2);
  EXPECT_EQ(results[0].algo, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0);
  EXPECT_EQ(results[0].determinism, CUDNN_NON_DETERMINISTIC);
  EXPECT_EQ(results[1].algo, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1);
  EXPECT_EQ(results[1].determinism, CUDNN_DETERMINISTIC);
}

TEST(Cudnn, RefusesWhatDoesNotFitTogether) {
  Problem p(small);
  const auto forward = [&] { return p.forward(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM); };
  ASSERT_EQ(forward(), CUDNN_STATUS_SUCCESS);
  p.stream.synchronize();
  ASSERT_EQ(cudnnSetTensor4dDescriptor(p.d.y, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 4, 8, 6, 5),
            CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(forward(), CUDNN_STATUS_BAD_PARAM);
  char message[100];
  cudnnGetLastErrorString(message, sizeof message);
  EXPECT_STREQ(message, "y is not of the size that x, w and the convolution give");
  ASSERT_EQ(cudnnSetTensor4dDescriptor(p.d.y, CUDNN_TENSOR_NCHW, bf16, 4, 8, 6, 6), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(forward(), CUDNN_STATUS_BAD_PARAM);
  ASSERT_EQ(cudnnSetTensor4dDescriptor(p.d.y, nhwc, CUDNN_DATA_FLOAT, 4, 8, 6, 6), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(p.backward_data(CUDNN_CONVOLUTION_BWD_DATA_ALGO_1), CUDNN_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(cudnnSetTensor4dDescriptor(p.d.y, nhwc, CUDNN_DATA_FLOAT, 0, 8, 6, 6), CUDNN_STATUS_BAD_PARAM);
}

TEST(Cudnn, RefusesAWorkspaceThatIsTooSmall) {
  Problem p(small_nhwc);
  std::size_t bytes = 0;
  constexpr auto algorithm = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
  ASSERT_EQ(cudnnGetConvolutionBackwardFilterWorkspaceSize(p.d.handle, p.d.x, p.d.y, p.d.how, p.d.w,
                                                           algorithm, &bytes),
            CUDNN_STATUS_SUCCESS);
  ASSERT_GT(bytes, 0U);
  const auto run = [&](std::size_t given) {
    return cudnnConvolutionBackwardFilter(p.d.handle, &p.alpha, p.d.x, p.x.data(), p.d.y, p.y.data(), p.d.how,
                                          algorithm, p.workspace.data(), given, &p.beta, p.d.w, p.w.data());
  };
  EXPECT_EQ(CUDNN_STATUS_CATEGORY(run(bytes - 1)), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(run(bytes), CUDNN_STATUS_SUCCESS);
  p.stream.synchronize();
}

TEST(Cudnn, HostMemoryMakesTheDeviceFail) {
  Problem p(small);
  std::vector<float> x(p.c.x_size());
  ASSERT_EQ(cudnnConvolutionForward(p.d.handle, &p.alpha, p.d.x, x.data(), p.d.w, p.w.data(), p.d.how,
                                    CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, nullptr, 0, &p.beta, p.d.y,
                                    p.y.data()),
            CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(cudaStreamSynchronize(p.stream), cudaErrorIllegalAddress);
  EXPECT_EQ(p.forward(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM), CUDNN_STATUS_EXECUTION_FAILED_CUDART);
  mend(0);
}

TEST(Cudnn, BiasGradientSumsOverImagesAndPixels) {
  for (const Case& c : {small, small_nhwc}) {
    Problem p(c);
    const DeviceArray db(Format::fp32, std::vector<float>(8, 3));
    cudnnTensorDescriptor_t db_of = nullptr;
    ASSERT_EQ(cudnnCreateTensorDescriptor(&db_of), CUDNN_STATUS_SUCCESS);
    ASSERT_EQ(cudnnSetTensor4dDescriptor(db_of, c.format, c.type, 1, 8, 1, 1), CUDNN_STATUS_SUCCESS);
    p.beta = 2;
    ASSERT_EQ(
        cudnnConvolutionBackwardBias(p.d.handle, &p.alpha, p.d.y, p.y.data(), &p.beta, db_of, db.data()),
        CUDNN_STATUS_SUCCESS);
    p.stream.synchronize();
    std::vector<float> wanted(8, 6);
    const auto dy = p.y.values();
    for (int i = 0; i < 4; ++i)
      for (std::size_t o = 0; o < 8; ++o)
        for (int pixel = 0; pixel < 36; ++pixel)
          wanted[o] += dy[c.y_at(i, static_cast<int>(o), pixel / 6, pixel % 6)];
    EXPECT_EQ(db.values(), wanted);
    cudnnDestroyTensorDescriptor(db_of);
  }
}

TEST(Cudnn, AGraphRepeatsAConvolution) {
  Problem p(small_nhwc);
  p.beta = 1;
  const auto before = p.y.values();
  ASSERT_EQ(cudaStreamBeginCapture(p.stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  ASSERT_EQ(p.forward(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM), CUDNN_STATUS_SUCCESS);
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(p.stream, &graph), cudaSuccess);
  EXPECT_EQ(p.y.values(), before) << "a capture computes nothing";
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(cudaGraphLaunch(executable, p.stream), cudaSuccess);
  p.stream.synchronize();
  std::vector<double> twice(p.c.y_size());
  const auto x = p.x.values();
  const auto w = p.w.values();
  define(p.c, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
    twice[yi] += 2 * static_cast<double>(x[xi] * w[wi]);
  });
  EXPECT_EQ(p.y.values(), scaled(Format::fp32, twice, before, 1, 1));
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
}

}  // namespace
}  // namespace tardigrad::emulation
