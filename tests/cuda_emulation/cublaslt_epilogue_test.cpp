#include <algorithm>

#include "tests/cuda_emulation/matmul_call.h"

namespace tardigrad::emulation {
namespace {

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

TEST_P(Epilogues, ReluAuxGivesABitForEachElementThatIsNotNegative) {
  for (const auto epilogue : {CUBLASLT_EPILOGUE_RELU_AUX, CUBLASLT_EPILOGUE_RELU_AUX_BIAS}) {
    use(epilogue);
    const auto before = [&](std::size_t i, std::size_t j) {
      return epilogue == CUBLASLT_EPILOGUE_RELU_AUX ? call.result(i, j) : with_bias(i, j);
    };
    call.compute();
    call.expect(format, [&](std::size_t i, std::size_t j) { return std::max(before(i, j), 0.0); });
    const auto bits = mask();
    for (std::size_t j = 0; j < shape.n; ++j) {
      for (std::size_t i = 0; i < shape.m; ++i) {
        ASSERT_EQ(bit(bits, i, j), before(i, j) >= 0) << i << ", " << j;
      }
    }
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

}  // namespace
}  // namespace tardigrad::emulation
