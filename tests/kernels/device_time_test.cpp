#include "kernels/device_time.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

#include "tests/kernels/backend.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr double millisecond_ns = 1e6;

/// Memory that host and device share.
template <typename T>
class Shared {
 public:
  Shared([[maybe_unused]] Backend backend, T value) {
#if TARDIGRAD_CUDA
    if (backend == Backend::cuda) {
      void* memory = nullptr;
      check_status(cudaHostAlloc(&memory, sizeof(T), cudaHostAllocPortable));
      memory_ = {static_cast<T*>(memory), [](T* pinned) { static_cast<void>(cudaFreeHost(pinned)); }};
    }
#endif
    if (!memory_) memory_ = {new T, [](T* plain) { delete plain; }};
    *memory_ = value;
  }

  T* get() const { return memory_.get(); }
  T& operator*() const { return *memory_; }
  T* operator->() const { return memory_.get(); }

 private:
  std::shared_ptr<T> memory_;
};

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
  const auto began = stamped();
  const Shared<PauseState> pauses(GetParam(), {.paused_ns = 5'000'000, .paused = 0});
  Stretch stretch;
  stretch.began_ns = began.get();
  stretch.duration_ns = millisecond_ns;
  stretch.pauses = pauses.get();
  stretch.paused_before_ns = 2'000'000;
  EXPECT_GE(lasted_ns(stretch), 4 * millisecond_ns);
}

TEST_P(DeviceTime, WhileTheStopwatchStandsNothingEnds) {
  const auto began = stamped();
  const auto beside = stamped();  // pinned memory is not to be had, nor freed, while a kernel waits
  const Shared<PauseState> pauses(GetParam(), {.paused_ns = 0, .paused = 1});
  Stretch stretch;
  stretch.began_ns = began.get();
  stretch.pauses = pauses.get();
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

TEST_P(DeviceTime, NullPointersAreRefused) {
  EXPECT_THROW(execute(GetParam(), StampTime{}), std::logic_error);
  EXPECT_THROW(execute(GetParam(), Stretch{}), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(Backends, DeviceTime, every_backend, ::testing::PrintToStringParamName());

}  // namespace
}  // namespace tardigrad
