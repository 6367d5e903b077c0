#include "kernels/device_time.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "tests/kernels/backend.h"
#include "tests/kernels/shared.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr double millisecond_ns = 1e6;

template <typename Number>
void set(Number& value, Number to) {
  std::atomic_ref<Number>(value).store(to);
}

class DeviceTime : public OnBackend {
 protected:
  Shared<std::uint64_t> stamped() const {
    Shared<std::uint64_t> time_ns(GetParam(), 0);
    execute(GetParam(), StampTime{time_ns.get()});
    return time_ns;
  }

  /// The time from the stamp that the stretch counts from until it ended.
  double lasted_ns(const Stretch& stretch) const {
    execute(GetParam(), stretch);
    return static_cast<double>(*stamped() - *stretch.began_ns);
  }
};

TEST_P(DeviceTime, StampsDoNotGoBack) {
  const auto first = stamped();
  const auto second = stamped();
  EXPECT_GT(*first, 0U);
  EXPECT_GE(*second, *first);
}

TEST_P(DeviceTime, AStretchLastsAtLeastItsDuration) {
  const auto began = stamped();
  Stretch stretch;
  stretch.began_ns = began.get();
  stretch.duration_ns = 3 * millisecond_ns;
  EXPECT_GE(lasted_ns(stretch), 3 * millisecond_ns);
}

TEST_P(DeviceTime, ASlowdownMultipliesWhatTheJobTook) {
  const auto began = stamped();
  Stretch work;
  work.began_ns = began.get();
  work.duration_ns = millisecond_ns;
  Stretch stretch;
  stretch.began_ns = began.get();
  stretch.slowdown = 4;
  const double took_ns = lasted_ns(work);
  EXPECT_GE(lasted_ns(stretch), 4 * took_ns);
}

TEST_P(DeviceTime, PausesDoNotCount) {
  const Shared<std::uint64_t> began(GetParam(), 0);
  const Shared<std::uint64_t> paused_before_ns(GetParam(), 0);
  const Shared<PauseState> pauses(GetParam(), {.paused_ns = 2'000'000, .paused = 0});
  execute(GetParam(), StampTime{began.get(), pauses.get(), paused_before_ns.get()});
  EXPECT_EQ(*paused_before_ns, 2'000'000U);
  set(pauses->paused_ns, std::uint64_t{5'000'000});
  Stretch stretch;
  stretch.began_ns = began.get();
  stretch.duration_ns = millisecond_ns;
  stretch.pauses = pauses.get();
  stretch.paused_before_ns = paused_before_ns.get();
  EXPECT_GE(lasted_ns(stretch), 4 * millisecond_ns);
}

TEST_P(DeviceTime, WhileTheStopwatchStandsNothingEnds) {
  const auto began = stamped();
  const auto beside = stamped();  // pinned memory is not to be had, nor freed, while a kernel waits
  const Shared<PauseState> pauses(GetParam(), {.paused_ns = 0, .paused = 1});
  Stretch stretch;
  stretch.began_ns = began.get();
  stretch.pauses = pauses.get();
  const Shared<std::uint64_t> paused_before_ns(GetParam(), 0);
  stretch.paused_before_ns = paused_before_ns.get();
  std::atomic<bool> ended = false;
  std::jthread waiting([&] {
    execute(GetParam(), stretch);
    ended = true;
  });
  execute(GetParam(), StampTime{beside.get()});  // work beside it goes on meanwhile
  EXPECT_FALSE(ended);
  set(pauses->paused, std::uint32_t{0});
}

TEST_P(DeviceTime, AStretchWithoutEndCanBeCutShort) {
  const auto began = stamped();
  const auto beside = stamped();  // pinned memory is not to be had, nor freed, while a kernel waits
  const Shared<std::uint32_t> cut_short(GetParam(), 0);
  Stretch stretch;
  stretch.began_ns = began.get();
  stretch.duration_ns = Stretch::for_ever;
  stretch.cut_short = cut_short.get();
  std::atomic<bool> ended = false;
  std::jthread waiting([&] {
    execute(GetParam(), stretch);
    ended = true;
  });
  execute(GetParam(), StampTime{beside.get()});
  EXPECT_FALSE(ended);
  set(*cut_short, std::uint32_t{1});
}

TEST(DeviceTimes, NullPointersAreRefused) {
  std::uint64_t time_ns = 0;
  PauseState pauses;
  expect_refused(StampTime{}, "time_ns is null");
  expect_refused(StampTime{&time_ns, &pauses, nullptr}, "paused_ns is null");
  expect_refused(Stretch{}, "began_ns is null");
  Stretch stretch;
  stretch.began_ns = &time_ns;
  stretch.pauses = &pauses;
  expect_refused(stretch, "paused_before_ns is null");
}

INSTANTIATE_TEST_SUITE_P(Backends, DeviceTime, every_backend, ::testing::PrintToStringParamName());

}  // namespace
}  // namespace tardigrad
