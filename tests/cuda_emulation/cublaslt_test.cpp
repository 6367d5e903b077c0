#include <cublas_v2.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "tests/cuda_emulation/matmul_call.h"

namespace tardigrad::emulation {
namespace {

constexpr Shape shapes[] = {{1, 1, 1}, {5, 3, 7}, {33, 17, 40}, {64, 8, 129}};

class Products : public testing::TestWithParam<std::tuple<Format, bool, bool, std::size_t>> {};

TEST_P(Products, AreTheirDefinition) {
  const auto [format, transpose_a, transpose_b, gap] = GetParam();
  for (const Shape& shape : shapes) {
    Call call(format, shape, transpose_a, transpose_b, gap);
    call.alpha = 2;
    call.beta = -0.5F;
    call.compute();
    call.expect(format, [&](std::size_t i, std::size_t j) { return call.result(i, j); });
  }
}

INSTANTIATE_TEST_SUITE_P(All, Products,
                         testing::Combine(testing::Values(Format::fp32, Format::bf16), testing::Bool(),
                                          testing::Bool(), testing::Values(std::size_t{0}, std::size_t{3})));

TEST(CublasLt, RowOrderIsTheTranspose) {
  constexpr Shape shape{5, 3, 7};
  Call call(Format::fp32, shape);
  // The memory of A (5 × 7 by columns) read by rows is 7 × 5; transposed it is A again. B and D by rows
  // alike.
  const std::int32_t by_rows = CUBLASLT_ORDER_ROW;
  cublasLtMatrixLayout_t a = nullptr;
  ASSERT_EQ(cublasLtMatrixLayoutCreate(&a, CUDA_R_32F, 7, 5, 5), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cublasLtMatrixLayoutSetAttribute(a, CUBLASLT_MATRIX_LAYOUT_ORDER, &by_rows, sizeof by_rows),
            CUBLAS_STATUS_SUCCESS);
  call.set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  std::swap(a, call.a.layout);
  call.compute();
  std::swap(a, call.a.layout);
  call.expect(Format::fp32, [&](std::size_t i, std::size_t j) { return call.result(i, j); });
  cublasLtMatrixLayoutDestroy(a);
}

TEST(CublasLt, BetaZeroDoesNotReadC) {
  Call call(Format::fp32, {4, 4, 4}, false, false, 0, CUBLAS_COMPUTE_32F,
            [](std::size_t size, unsigned seed) {
              return seed == 3 ? std::vector<float>(size, std::numeric_limits<float>::quiet_NaN())
                               : small_numbers(size, seed);
            });
  call.compute();
  call.expect(Format::fp32, [&](std::size_t i, std::size_t j) { return call.result(i, j); });
}

TEST(CublasLt, ScalesMayLieOnTheDevice) {
  Call call(Format::fp32, {5, 3, 7});
  const DeviceArray scales(Format::fp32, {3, -1});
  call.set(CUBLASLT_MATMUL_DESC_POINTER_MODE, static_cast<std::int32_t>(CUBLASLT_POINTER_MODE_DEVICE));
  const auto* alpha = static_cast<const float*>(scales.data());
  ASSERT_EQ(
      cublasLtMatmul(call.handle.handle, call.how, alpha, call.a.device.data(), call.a.layout,
                     call.b.device.data(), call.b.layout, alpha + 1, call.c.device.data(), call.c.layout,
                     call.d.device.data(), call.d.layout, nullptr, nullptr, 0, call.stream),
      CUBLAS_STATUS_SUCCESS);
  call.stream.synchronize();
  call.d.download();
  call.alpha = 3;
  call.beta = -1;
  call.expect(Format::fp32, [&](std::size_t i, std::size_t j) { return call.result(i, j); });
}

TEST(CublasLt, PrecisionsDiffer) {
  const auto almost_one = [](std::size_t size, unsigned) {
    return std::vector<float>(size, 1 + std::ldexp(1.0F, -12));
  };
  const auto one_product = [&](Format format, cublasComputeType_t compute) {
    Call call(format, {1, 1, 1}, false, false, 0, compute, almost_one);
    call.compute();
    return call.d.values[0];
  };
  EXPECT_GT(one_product(Format::fp32, CUBLAS_COMPUTE_32F), 1.0F);
  EXPECT_EQ(one_product(Format::fp32, CUBLAS_COMPUTE_32F_FAST_TF32), 1.0F);
  EXPECT_EQ(round_to_tf32(1 + std::ldexp(1.0F, -10)), 1 + std::ldexp(1.0F, -10)) << "ten bits stay";
  EXPECT_EQ(round_to_tf32(1 + std::ldexp(1.0F, -11)), 1 + std::ldexp(1.0F, -10))
      << "a tie goes away from zero";
  Call mixed(Format::bf16, {1, 1, 1}, false, false, 0, CUBLAS_COMPUTE_32F_FAST_TF32);
  EXPECT_EQ(mixed.run(), CUBLAS_STATUS_NOT_SUPPORTED) << "bf16 is computed in CUBLAS_COMPUTE_32F";
}

std::vector<cublasLtMatmulHeuristicResult_t> heuristics(
    Call& call, std::uint64_t workspace, std::uint32_t alignment,
    std::uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_MASK) {
  cublasLtMatmulPreferenceOpaque_t preference;
  EXPECT_EQ(cublasLtMatmulPreferenceInit(&preference), CUBLAS_STATUS_SUCCESS);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace);
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, schemes);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
  std::vector<cublasLtMatmulHeuristicResult_t> results(10);
  int returned = 0;
  EXPECT_EQ(cublasLtMatmulAlgoGetHeuristic(call.handle.handle, call.how, call.a.layout, call.b.layout,
                                           call.c.layout, call.d.layout, &preference, 10, results.data(),
                                           &returned),
            CUBLAS_STATUS_SUCCESS);
  results.resize(static_cast<std::size_t>(returned));
  return results;
}

TEST(CublasLt, EveryAlgorithmOfTheHeuristicsGivesTheProduct) {
  Call call(Format::fp32, {32, 8, 64}, true);
  call.workspace_size = call.workspace.bytes();
  const auto results = heuristics(call, call.workspace_size, 256);
  ASSERT_GE(results.size(), 3U);
  std::size_t most = 0;
  for (const auto& result : results) {
    ASSERT_EQ(result.state, CUBLAS_STATUS_SUCCESS);
    most = std::max(most, result.workspaceSize);
    call.compute(&result.algo);
    call.expect(Format::fp32, [&](std::size_t i, std::size_t j) { return call.result(i, j); });
    if (result.workspaceSize == 0) continue;
    call.workspace_size = result.workspaceSize - 1;
    EXPECT_EQ(call.run(&result.algo), CUBLAS_STATUS_INVALID_VALUE) << "the workspace is too small";
    call.workspace_size = call.workspace.bytes();
  }
  EXPECT_GT(most, 0U);
}

TEST(CublasLt, HeuristicsKeepToThePreferences) {
  Call call(Format::fp32, {32, 8, 64}, true);
  for (const auto& result : heuristics(call, 0, 256)) EXPECT_EQ(result.workspaceSize, 0U);
  for (const auto& result : heuristics(call, 1 << 20, 256, CUBLASLT_REDUCTION_SCHEME_NONE)) {
    std::int32_t splits = 0;
    ASSERT_EQ(cublasLtMatmulAlgoConfigGetAttribute(&result.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits,
                                                   sizeof splits, nullptr),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(splits, 1);
  }
  EXPECT_LT(heuristics(call, 0, 4).size(), heuristics(call, 0, 256).size()) << "tensor cores want 16 bytes";
}

TEST(CublasLt, AnAlgorithmIsForTheAlignmentThatItWasAskedFor) {
  Call call(Format::bf16, {32, 8, 64}, true);
  const auto results = heuristics(call, 0, 256);
  ASSERT_FALSE(results.empty());
  ASSERT_EQ(call.run(&results[0].algo), CUBLAS_STATUS_SUCCESS);
  const auto run_at = [&](std::size_t offset, const cublasLtMatmulAlgo_t* algorithm) {
    const float one = 1;
    const float zero = 0;
    return cublasLtMatmul(call.handle.handle, call.how, &one,
                          static_cast<char*>(call.a.device.data()) + offset, call.a.layout,
                          call.b.device.data(), call.b.layout, &zero, nullptr, call.c.layout,
                          call.d.device.data(), call.d.layout, algorithm, nullptr, 0, call.stream);
  };
  EXPECT_EQ(run_at(2, &results[0].algo), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(run_at(2, nullptr), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(run_at(1, nullptr), CUBLAS_STATUS_NOT_SUPPORTED) << "not even aligned as elements are";
  call.stream.synchronize();
}

TEST(CublasLt, RefusesWhatDoesNotFitTogether) {
  Call call(Format::fp32, {5, 3, 7});
  ASSERT_EQ(call.run(), CUBLAS_STATUS_SUCCESS);
  call.stream.synchronize();
  const auto with = [&](cublasLtMatrixLayout_t& layout, cublasLtMatrixLayoutAttribute_t attribute,
                        auto value) {
    std::remove_const_t<decltype(value)> before{};
    EXPECT_EQ(cublasLtMatrixLayoutGetAttribute(layout, attribute, &before, sizeof before, nullptr),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(layout, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
    const cublasStatus_t status = call.run();
    EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(layout, attribute, &before, sizeof before),
              CUBLAS_STATUS_SUCCESS);
    return status;
  };
  EXPECT_EQ(with(call.a.layout, CUBLASLT_MATRIX_LAYOUT_COLS, std::uint64_t{6}), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(with(call.c.layout, CUBLASLT_MATRIX_LAYOUT_COLS, std::uint64_t{2}), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(with(call.b.layout, CUBLASLT_MATRIX_LAYOUT_LD, std::int64_t{6}), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(with(call.a.layout, CUBLASLT_MATRIX_LAYOUT_TYPE, std::uint32_t{CUDA_R_16BF}),
            CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(with(call.a.layout, CUBLASLT_MATRIX_LAYOUT_ORDER, std::int32_t{CUBLASLT_ORDER_COL32}),
            CUBLAS_STATUS_NOT_SUPPORTED);
  const std::int64_t wrong_size = 0;
  EXPECT_EQ(
      cublasLtMatmulDescSetAttribute(call.how, CUBLASLT_MATMUL_DESC_TRANSA, &wrong_size, sizeof wrong_size),
      CUBLAS_STATUS_INVALID_VALUE);
}

TEST(CublasLt, ReluTurnsNanIntoZero) {
  Call call(Format::fp32, {1, 1, 1}, false, false, 0, CUBLAS_COMPUTE_32F, [](std::size_t size, unsigned) {
    return std::vector<float>(size, std::numeric_limits<float>::quiet_NaN());
  });
  call.compute();
  EXPECT_TRUE(std::isnan(call.d.values[0]));
  call.set(CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t{CUBLASLT_EPILOGUE_RELU});
  call.compute();
  EXPECT_EQ(call.d.values[0], 0.0F);
}

TEST(CublasLt, NamesItsVersionAndStatuses) {
  int major = 0;
  EXPECT_EQ(cublasGetProperty(MAJOR_VERSION, &major), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(major, CUBLAS_VER_MAJOR);
  EXPECT_EQ(cublasLtGetVersion(), static_cast<std::size_t>(CUBLAS_VERSION));
  EXPECT_STREQ(cublasLtGetStatusName(CUBLAS_STATUS_NOT_SUPPORTED), "CUBLAS_STATUS_NOT_SUPPORTED");
}

}  // namespace
}  // namespace tardigrad::emulation
