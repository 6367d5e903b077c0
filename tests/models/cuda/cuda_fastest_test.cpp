#include <gmock/gmock.h>

#include <vector>

#include "models/cuda/layers/fastest.h"
#include "tests/models/cuda/cuda_gpu.h"

namespace tardigrad::models::cuda {
namespace {

using ::testing::Optional;

class CudaFastest : public models::testing::OnGpu<::testing::Test> {
 protected:
  /// The fastest of candidates that set so much memory; none works where that is 0.
  std::optional<std::size_t> fastest(const std::vector<std::size_t>& megabytes) {
    const Stream stream(gpu, "test");
    Buffer<std::byte> buffer(stream, std::size_t{64} << 20);
    std::optional<std::size_t> chosen;
    calls_.assign(megabytes.size(), 0);
    models::testing::run_on(stream, [&](CudaStream native) {
      chosen = fastest_of(gpu, native, megabytes.size(), [&](std::size_t i) {
        ++calls_[i];
        return megabytes[i] > 0 &&
               cudaMemsetAsync(buffer.ref().data(), 0, megabytes[i] << 20, native) == cudaSuccess;
      });
    });
    return chosen;
  }

  std::vector<int> calls_;
};

TEST_F(CudaFastest, TakesTheLeastTime) { EXPECT_THAT(fastest({64, 1, 64}), Optional(std::size_t{1})); }

TEST_F(CudaFastest, RunsEachOnceBeforeItIsTimedAndThenInSeries) {
  fastest({1, 64});
  EXPECT_THAT(calls_, ::testing::Each(1 + 3 * 5));
}

TEST_F(CudaFastest, LeavesOutWhatDoesNotWork) {
  EXPECT_THAT(fastest({0, 64, 0}), Optional(std::size_t{1}));
  EXPECT_THAT(calls_, ::testing::Each(1)) << "nothing to compare with";
  EXPECT_EQ(fastest({0, 0}), std::nullopt);
  EXPECT_EQ(fastest({}), std::nullopt);
}

}  // namespace
}  // namespace tardigrad::models::cuda
