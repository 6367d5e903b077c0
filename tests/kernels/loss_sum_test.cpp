#include "kernels/loss_sum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "tests/kernels/backend.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

double summed(Backend backend, const std::vector<float>& losses) {
  const Guarded<float> losses_there(backend, losses);
  const LossSum sum{losses.size(), losses_there.data()};
  if (backend == Backend::cpu) return sum.run();
  double result = 0;
#if TARDIGRAD_CUDA
  on_cuda_stream([&](CudaStream stream) { result = sum.launch(stream); });
#endif
  return result;
}

class LossSumContract : public OnBackend {};

TEST_P(LossSumContract, AddsLossesInFloat64) {
  for (const std::size_t count : {1, 2, 255, 1000, 100'003}) {
    // In float32 the sum would stop growing.
    std::vector<float> losses(count, 0x1p-20F);
    losses[0] = 1024;
    EXPECT_EQ(summed(GetParam(), losses), 1024 + static_cast<double>(count - 1) * 0x1p-20)
        << count << " examples";
  }
}

TEST_P(LossSumContract, KeepsNan) {
  EXPECT_TRUE(std::isnan(summed(GetParam(), {1, std::numeric_limits<float>::quiet_NaN(), 2})));
}

INSTANTIATE_TEST_SUITE_P(Backends, LossSumContract, every_backend, ::testing::PrintToStringParamName());

TEST(LossSum, RefusesNullAndAcceptsNone) {
  const LossSum wrong{1, nullptr};
  const auto throws = ::testing::ThrowsMessage<std::logic_error>(::testing::HasSubstr("losses is null"));
  EXPECT_THAT([&] { static_cast<void>(wrong.run()); }, throws);
  EXPECT_EQ(LossSum{}.run(), 0);
#if TARDIGRAD_CUDA
  EXPECT_THAT([&] { static_cast<void>(wrong.launch(nullptr)); }, throws);
  EXPECT_EQ(LossSum{}.launch(nullptr), 0);
#endif
}

TEST(LossSum, CountsBytesAndFlops) {
  const LossSum sum{1000, nullptr};
  EXPECT_EQ(sum.bytes(), 4000);
  EXPECT_EQ(sum.flops(), 1000);
}

}  // namespace
}  // namespace tardigrad
