#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "tests/models/cuda/cuda_gpu.h"

namespace tardigrad::models::cuda {
namespace {

using models::testing::OnDevice;

constexpr int rows = 16;  // of A, B and D, which is the identity times B
constexpr int columns = 8;
constexpr int mask_stride = 128;  // bits between columns, as cuBLASLt wants them

/// What the epilogue RELU_AUX makes of some numbers.
class CublasLtReluMask : public models::testing::OnGpu<::testing::Test> {
 protected:
  /// Element i of D is number i modulo 4 of these.
  static constexpr std::array<float, 4> numbers{-1.0F, 0.0F, 1.0F, -0.0F};

  void SetUp() override {
    OnGpu::SetUp();
    if (IsSkipped()) return;
    std::vector<float> identity(std::size_t{rows} * rows);
    for (std::size_t i = 0; i < rows; ++i) identity[i * rows + i] = 1;
    std::vector<float> values(std::size_t{rows} * columns);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = numbers.at(i % numbers.size());
    const Stream stream(gpu, "test");
    OnDevice<float> a(stream, identity);
    OnDevice<float> b(stream, values);
    OnDevice<float> d(stream, std::vector<float>(values.size(), 7));
    OnDevice<std::uint8_t> mask(stream, std::vector<std::uint8_t>(columns * mask_stride / 8, 0xAA));
    models::testing::run_on(
        stream, [&](CudaStream native) { multiply(native, a.data(), b.data(), d.data(), mask.data()); });
    output_ = d.values();
    mask_ = mask.values();
  }

  /// Whether the mask has a bit for the elements that are number `which`; a failure where they differ.
  bool has_bit(std::size_t which) const {
    const auto bit = [&](std::size_t i) {
      const std::size_t at = i / rows * mask_stride + i % rows;
      return (mask_[at / 8] >> (at % 8) & 1) != 0;
    };
    for (std::size_t i = which; i < output_.size(); i += numbers.size()) {
      EXPECT_EQ(bit(i), bit(which)) << "element " << i << ", " << numbers.at(which);
    }
    return bit(which);
  }

  std::vector<float> output_;

 private:
  static void multiply(CudaStream stream, const float* a, const float* b, float* d, void* mask) {
    const Libraries libraries(gpu);
    Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> description;
    TARDIGRAD_CUDA_CHECK(cublasLtMatmulDescCreate(description.receive(), CUBLAS_COMPUTE_32F, CUDA_R_32F),
                         gpu);
    const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
      TARDIGRAD_CUDA_CHECK(
          cublasLtMatmulDescSetAttribute(description.get(), attribute, &value, sizeof(value)), gpu);
    };
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_RELU_AUX);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, mask);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{mask_stride});
    Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy> square;
    Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy> tall;
    TARDIGRAD_CUDA_CHECK(cublasLtMatrixLayoutCreate(square.receive(), CUDA_R_32F, rows, rows, rows), gpu);
    TARDIGRAD_CUDA_CHECK(cublasLtMatrixLayoutCreate(tall.receive(), CUDA_R_32F, rows, columns, rows), gpu);
    constexpr float one = 1;
    constexpr float zero = 0;
    TARDIGRAD_CUDA_CHECK(
        cublasLtMatmul(libraries.cublas.get(), description.get(), &one, a, square.get(), b, tall.get(), &zero,
                       d, tall.get(), d, tall.get(), nullptr, nullptr, 0, stream),
        gpu);
    TARDIGRAD_CUDA_CHECK(cudaStreamSynchronize(stream), gpu);  // before the handle goes
  }

  std::vector<std::uint8_t> mask_;
};

TEST_F(CublasLtReluMask, HasABitForWhatIsPositiveAndNoneForWhatIsNegative) {
  EXPECT_FALSE(has_bit(0));
  EXPECT_TRUE(has_bit(2));
  for (std::size_t i = 0; i < output_.size(); ++i) {
    ASSERT_EQ(output_[i], numbers.at(i % numbers.size()) == 1 ? 1.0F : 0.0F) << i;
  }
}

/// This is why LinearLayer does not differentiate ReLUs by it. Where it fails, the epilogue may be used
/// again.
TEST_F(CublasLtReluMask, CountsZeroAsPositive) { EXPECT_TRUE(has_bit(1)); }

}  // namespace
}  // namespace tardigrad::models::cuda
