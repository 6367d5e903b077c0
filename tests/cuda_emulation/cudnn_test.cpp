#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/cuda_emulation/convolution_problem.h"
#include "tests/cuda_emulation/faults.h"

namespace tardigrad::emulation {
namespace {

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
  for (int i = 0; i < 4; ++i) {
    for (int pixel = 0; pixel < 36; ++pixel) {
      for (int o = 0; o < 9; ++o) {
        const double wanted = o == 8 ? 5 : packed[static_cast<std::size_t>((i * 8 + o) * 36 + pixel)];
        ASSERT_EQ(static_cast<double>(values[static_cast<std::size_t>((i * 36 + pixel) * 9 + o)]), wanted);
      }
    }
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

TEST(Cudnn, HeuristicsNameWhatWorksFirstWithTheWorkspaceThatItNeeds) {
  Problem p(small_nhwc, full_numbers, CUDNN_DEFAULT_MATH);
  int count = 0;
  ASSERT_EQ(cudnnGetConvolutionForwardAlgorithmMaxCount(p.d.handle, &count), CUDNN_STATUS_SUCCESS);
  std::vector<cudnnConvolutionFwdAlgoPerf_t> results(static_cast<std::size_t>(count));
  int returned = 0;
  ASSERT_EQ(cudnnGetConvolutionForwardAlgorithm_v7(p.d.handle, p.d.x, p.d.w, p.d.how, p.d.y, count, &returned,
                                                   results.data()),
            CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(returned, count);
  int succeeded = 0;
  for (int i = 0; i < returned; ++i) {
    const auto& result = results[static_cast<std::size_t>(i)];
    EXPECT_EQ(result.time, -1.0F);
    if (result.status != CUDNN_STATUS_SUCCESS) continue;
    EXPECT_EQ(succeeded++, i) << "failures come last";
    ASSERT_EQ(cudnnSetConvolutionMathType(p.d.how, result.mathType), CUDNN_STATUS_SUCCESS);
    std::size_t bytes = 0;
    ASSERT_EQ(cudnnGetConvolutionForwardWorkspaceSize(p.d.handle, p.d.x, p.d.w, p.d.how, p.d.y, result.algo,
                                                      &bytes),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(result.memory, bytes);
  }
  EXPECT_EQ(succeeded, 4) << "two implicit algorithms in two math types";
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
    for (int i = 0; i < 4; ++i) {
      for (std::size_t o = 0; o < 8; ++o) {
        for (int pixel = 0; pixel < 36; ++pixel) {
          wanted[o] += dy[c.y_at(i, static_cast<int>(o), pixel / 6, pixel % 6)];
        }
      }
    }
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
