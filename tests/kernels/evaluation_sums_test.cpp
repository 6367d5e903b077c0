#include "kernels/evaluation_sums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "tests/kernels/backend.h"

namespace tardigrad::test::evaluation_sums_test {
namespace {

EvaluationSums::Result summed(Backend backend, const std::vector<float>& losses,
                              const std::vector<std::uint8_t>& hits) {
  const Guarded<float> losses_there(backend, losses);
  const Guarded<std::uint8_t> hits_there(backend, hits);
  const EvaluationSums sums{losses.size(), losses_there.data(), hits_there.data()};
  if (backend == Backend::cpu) {
    return sums.run();
  }
  EvaluationSums::Result result;
#if TARDIGRAD_CUDA
  on_cuda_stream([&](CudaStream stream) { result = sums.launch(stream); });
#endif
  return result;
}

class EvaluationSumsContract : public OnBackend {};

TEST_P(EvaluationSumsContract, adds_losses_in_float64_and_counts_hits) {
  for (const std::size_t count : {1, 2, 255, 1000, 100'003}) {
    // In float32 the sum would stop growing, and in 8 bits the count would wrap.
    std::vector<float> losses(count, 0x1p-20F);
    losses[0] = 1024;
    std::vector<std::uint8_t> hits(count, 1);
    hits[count / 2] = 0;
    const EvaluationSums::Result result = summed(GetParam(), losses, hits);
    EXPECT_EQ(result.loss_sum, 1024 + static_cast<double>(count - 1) * 0x1p-20) << count << " examples";
    EXPECT_EQ(result.hits, count - 1);
  }
}

TEST_P(EvaluationSumsContract, keeps_nan) {
  EXPECT_TRUE(
      std::isnan(summed(GetParam(), {1, std::numeric_limits<float>::quiet_NaN(), 2}, {0, 0, 0}).loss_sum));
}

INSTANTIATE_TEST_SUITE_P(Kernels, EvaluationSumsContract, every_backend, testing::PrintToStringParamName());

TEST(EvaluationSums, refuses_wrong_arguments_and_accepts_none) {
  const float loss = 0;
  const std::uint8_t hit = 0;
  const auto refused = [](const EvaluationSums& sums, const std::string& text) {
    const auto throws = testing::ThrowsMessage<std::logic_error>(testing::HasSubstr(text));
    EXPECT_THAT([&] { static_cast<void>(sums.run()); }, throws);
#if TARDIGRAD_CUDA
    EXPECT_THAT([&] { static_cast<void>(sums.launch(nullptr)); }, throws);
#endif
  };
  refused({1, nullptr, &hit}, "losses is null");
  refused({1, &loss, nullptr}, "hits is null");
  EXPECT_EQ(EvaluationSums{}.run().hits, 0);
#if TARDIGRAD_CUDA
  EXPECT_EQ(EvaluationSums{}.launch(nullptr).hits, 0);
#endif
}

TEST(EvaluationSums, counts_bytes_and_flops) {
  const EvaluationSums sums{1000, nullptr, nullptr};
  EXPECT_EQ(sums.bytes(), 5000);
  EXPECT_EQ(sums.flops(), 1000);
}

}  // namespace
}  // namespace tardigrad::test::evaluation_sums_test
