#include <cublasLt.h>
#include <cublas_v2.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "tests/cuda_emulation/device_array.h"

namespace tardigrad::emulation {
namespace {

struct Shape {
  std::size_t m, n, k;
};

struct Handle {
  cublasLtHandle_t handle = nullptr;
  Handle() { EXPECT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS); }
  ~Handle() { cublasLtDestroy(handle); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

/// Column-major, rows × columns, `ld` elements from column to column; the gaps hold 7.
struct Matrix {
  std::size_t rows, columns, ld;
  std::vector<float> values;
  DeviceArray device;
  cublasLtMatrixLayout_t layout = nullptr;

  Matrix(Format format, std::size_t rows_, std::size_t columns_, unsigned seed, std::size_t gap = 0,
         std::vector<float> (*numbers)(std::size_t, unsigned) = small_numbers)
      : rows(rows_),
        columns(columns_),
        ld(rows_ + gap),
        values(with_gaps(numbers(rows_ * columns_, seed), rows_, columns_, ld)),
        device(format, values) {
    const auto type = format == Format::fp32 ? CUDA_R_32F : CUDA_R_16BF;
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&layout, type, rows, columns, static_cast<std::int64_t>(ld)),
              CUBLAS_STATUS_SUCCESS);
    for (float& value : values) value = stored(format, value);
  }
  ~Matrix() { cublasLtMatrixLayoutDestroy(layout); }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;

  double at(std::size_t i, std::size_t j) const { return static_cast<double>(values[j * ld + i]); }
  void download() { values = device.values(); }

 private:
  static std::vector<float> with_gaps(const std::vector<float>& packed, std::size_t rows, std::size_t columns,
                                      std::size_t ld) {
    std::vector<float> result(columns * ld, 7);
    for (std::size_t j = 0; j < columns; ++j)
      for (std::size_t i = 0; i < rows; ++i) result[j * ld + i] = packed[j * rows + i];
    return result;
  }
};

/// A call of cublasLtMatmul() with its operands.
struct Call {
  Handle handle;
  Stream stream;
  cublasLtMatmulDesc_t how = nullptr;
  Matrix a, b, c, d;
  DeviceArray workspace{1 << 20};
  std::size_t workspace_size = 0;
  float alpha = 1;
  float beta = 0;
  bool transpose_a;
  bool transpose_b;

  Call(Format format, Shape s, bool transpose_a_ = false, bool transpose_b_ = false, std::size_t gap = 0,
       cublasComputeType_t compute = CUBLAS_COMPUTE_32F,
       std::vector<float> (*numbers)(std::size_t, unsigned) = small_numbers)
      : a(format, transpose_a_ ? s.k : s.m, transpose_a_ ? s.m : s.k, 1, gap, numbers),
        b(format, transpose_b_ ? s.n : s.k, transpose_b_ ? s.k : s.n, 2, gap, numbers),
        c(format, s.m, s.n, 3, gap, numbers),
        d(format, s.m, s.n, 4, gap, numbers),
        transpose_a(transpose_a_),
        transpose_b(transpose_b_) {
    EXPECT_EQ(cublasLtMatmulDescCreate(&how, compute, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
    set(CUBLASLT_MATMUL_DESC_TRANSA, transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  }
  ~Call() { cublasLtMatmulDescDestroy(how); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  template <typename Value>
  void set(cublasLtMatmulDescAttributes_t attribute, Value value) {
    ASSERT_EQ(cublasLtMatmulDescSetAttribute(how, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS);
  }
  cublasStatus_t run(const cublasLtMatmulAlgo_t* algorithm = nullptr) {
    return cublasLtMatmul(handle.handle, how, &alpha, a.device.data(), a.layout, b.device.data(), b.layout,
                          &beta, c.device.data(), c.layout, d.device.data(), d.layout, algorithm,
                          workspace.data(), workspace_size, stream);
  }
  /// Runs and waits, and brings D back.
  void compute(const cublasLtMatmulAlgo_t* algorithm = nullptr) {
    ASSERT_EQ(run(algorithm), CUBLAS_STATUS_SUCCESS);
    stream.synchronize();
    d.download();
  }
  double op_a(std::size_t i, std::size_t k) const { return transpose_a ? a.at(k, i) : a.at(i, k); }
  double op_b(std::size_t k, std::size_t j) const { return transpose_b ? b.at(j, k) : b.at(k, j); }
  std::size_t depth() const { return transpose_a ? a.rows : a.columns; }
  /// alpha·op(A)·op(B) + beta·C at (i, j), in double.
  double result(std::size_t i, std::size_t j) const {
    double sum = 0;
    for (std::size_t k = 0; k < depth(); ++k) sum += op_a(i, k) * op_b(k, j);
    return static_cast<double>(alpha) * sum + (beta == 0 ? 0 : static_cast<double>(beta) * c.at(i, j));
  }
  /// Each element of D is what `wanted(i, j)` says, as stored in `format`, and the gaps are untouched.
  template <typename Wanted>
  void expect(Format format, Wanted wanted) const {
    for (std::size_t j = 0; j < d.columns; ++j)
      for (std::size_t i = 0; i < d.ld; ++i) {
        const float value = i < d.rows ? stored(format, static_cast<float>(wanted(i, j))) : 7;
        ASSERT_EQ(d.values[j * d.ld + i], value) << i << ", " << j;
      }
  }
};

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

class Epilogues : public testing::TestWithParam<Format> {
 protected:
  static constexpr Shape shape{37, 6, 19};
  static constexpr std::int64_t aux_ld = 128;
  Format format = GetParam();
  Call call{format, shape, true, false, 3};
  DeviceArray bias{format, small_numbers(shape.m, 9)};
  std::vector<float> bias_values = bias.values();
  DeviceArray aux{static_cast<std::size_t>(aux_ld) / 8 * shape.n};

  void use(cublasLtEpilogue_t epilogue) {
    call.set(CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<std::uint32_t>(epilogue));
    call.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.data());
    call.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux.data());
    call.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, aux_ld);
  }
  double with_bias(std::size_t i, std::size_t j) const {
    return call.result(i, j) + static_cast<double>(bias_values[i]);
  }
  std::vector<unsigned char> mask() const {
    std::vector<unsigned char> bytes(aux.bytes());
    expect_cuda(cudaMemcpy(bytes.data(), aux.data(), bytes.size(), cudaMemcpyDefault));
    return bytes;
  }
  static bool bit(const std::vector<unsigned char>& mask, std::size_t i, std::size_t j) {
    const std::size_t at = j * aux_ld + i;
    return (mask[at / 8] >> (at % 8) & 1) != 0;
  }
};

TEST_P(Epilogues, Relu) {
  use(CUBLASLT_EPILOGUE_RELU);
  call.compute();
  call.expect(format, [&](std::size_t i, std::size_t j) { return std::max(call.result(i, j), 0.0); });
}

TEST_P(Epilogues, BiasIsAddedAlongTheRows) {
  use(CUBLASLT_EPILOGUE_BIAS);
  call.alpha = 2;
  call.beta = 1;
  call.compute();
  call.expect(format, [&](std::size_t i, std::size_t j) { return with_bias(i, j); });
}

TEST_P(Epilogues, ReluComesAfterTheBias) {
  use(CUBLASLT_EPILOGUE_RELU_BIAS);
  call.compute();
  call.expect(format, [&](std::size_t i, std::size_t j) { return std::max(with_bias(i, j), 0.0); });
}

TEST_P(Epilogues, ReluAuxGivesABitForEachPositiveElement) {
  for (const auto epilogue : {CUBLASLT_EPILOGUE_RELU_AUX, CUBLASLT_EPILOGUE_RELU_AUX_BIAS}) {
    use(epilogue);
    const auto before = [&](std::size_t i, std::size_t j) {
      return epilogue == CUBLASLT_EPILOGUE_RELU_AUX ? call.result(i, j) : with_bias(i, j);
    };
    call.compute();
    call.expect(format, [&](std::size_t i, std::size_t j) { return std::max(before(i, j), 0.0); });
    const auto bits = mask();
    for (std::size_t j = 0; j < shape.n; ++j)
      for (std::size_t i = 0; i < shape.m; ++i)
        ASSERT_EQ(bit(bits, i, j), before(i, j) > 0) << i << ", " << j;
  }
}

TEST_P(Epilogues, DreluKeepsWhereTheMaskHasABitAndBgradSumsTheRowsOfD) {
  use(CUBLASLT_EPILOGUE_RELU_AUX);
  call.compute();
  const auto bits = mask();
  // Another product, so that the mask and the gradient are not of the same sign.
  call.alpha = -3;
  call.beta = 1;
  const auto wanted = [&](std::size_t i, std::size_t j) { return bit(bits, i, j) ? call.result(i, j) : 0; };
  use(CUBLASLT_EPILOGUE_DRELU);
  call.compute();
  call.expect(format, wanted);
  EXPECT_EQ(bias.values(), bias_values) << "without BGRAD the bias is not written";
  use(CUBLASLT_EPILOGUE_DRELU_BGRAD);
  call.compute();
  call.expect(format, wanted);
  const auto gradient = bias.values();
  for (std::size_t i = 0; i < shape.m; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < shape.n; ++j) sum += wanted(i, j);
    ASSERT_EQ(gradient[i], stored(format, static_cast<float>(sum))) << i;
  }
  EXPECT_EQ(mask(), bits);
}

TEST_P(Epilogues, BgradSumsAnOperandOverTheInnerDimension) {
  use(CUBLASLT_EPILOGUE_BGRADA);
  call.alpha = 2;  // not of the bias gradient
  call.compute();
  call.expect(format, [&](std::size_t i, std::size_t j) { return call.result(i, j); });
  auto gradient = bias.values();
  for (std::size_t i = 0; i < shape.m; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < shape.k; ++k) sum += call.op_a(i, k);
    ASSERT_EQ(gradient[i], stored(format, static_cast<float>(sum))) << i;
  }
  use(CUBLASLT_EPILOGUE_BGRADB);
  call.compute();
  const auto rest = gradient;
  gradient = bias.values();
  for (std::size_t j = 0; j < shape.m; ++j) {
    double sum = 0;
    for (std::size_t k = 0; j < shape.n && k < shape.k; ++k) sum += call.op_b(k, j);
    ASSERT_EQ(gradient[j], j < shape.n ? stored(format, static_cast<float>(sum)) : rest[j]) << j;
  }
}

TEST_P(Epilogues, RefuseWhatIsNotDocumented) {
  use(CUBLASLT_EPILOGUE_RELU_AUX);
  call.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{64});
  EXPECT_EQ(call.run(), CUBLAS_STATUS_INVALID_VALUE) << "not a multiple of 128";
  call.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{0});
  EXPECT_EQ(call.run(), CUBLAS_STATUS_INVALID_VALUE) << "less than the rows";
  use(CUBLASLT_EPILOGUE_RELU_AUX);
  call.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, static_cast<void*>(nullptr));
  EXPECT_EQ(call.run(), CUBLAS_STATUS_INVALID_VALUE);
  use(CUBLASLT_EPILOGUE_BIAS);
  call.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<void*>(nullptr));
  EXPECT_EQ(call.run(), CUBLAS_STATUS_INVALID_VALUE);
  use(CUBLASLT_EPILOGUE_BIAS);
  const auto other = format == Format::fp32 ? CUDA_R_16BF : CUDA_R_32F;
  call.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<std::int32_t>(other));
  EXPECT_EQ(call.run(), CUBLAS_STATUS_NOT_SUPPORTED) << "a bias is of D's type";
  use(CUBLASLT_EPILOGUE_GELU);
  EXPECT_EQ(call.run(), CUBLAS_STATUS_NOT_SUPPORTED);
}

INSTANTIATE_TEST_SUITE_P(Formats, Epilogues, testing::Values(Format::fp32, Format::bf16));

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
