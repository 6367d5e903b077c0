// What is true of CPU streams only: streams without a thread, and work that is left out.

#include "runtime/device/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/gate.h"

namespace tardigrad {
namespace {

using ::tardigrad::testing::Gate;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr Device cpu{Backend::cpu, 0};

/// An operation (kernels/operation.h) that does as it is told.
struct Double {
  static constexpr const char* name = "double";
  int* value;
  bool fails = false;
  void launch(CudaStream) const { FAIL() << "an operation of a CPU stream was launched"; }
  void run() const {
    if (fails) throw std::runtime_error("boom");
    *value *= 2;
  }
};

TEST(ImmediateStream, TheCallingThreadDoesTheWorkAtOnce) {
  const Stream stream = Stream::immediate(cpu, "now");
  EXPECT_TRUE(stream.ref().immediate());
  std::thread::id ran_on;
  stream.ref().host("who", [&] { ran_on = std::this_thread::get_id(); });
  EXPECT_EQ(ran_on, std::this_thread::get_id());
  int value = 3;
  stream.ref().enqueue(Double{&value});
  EXPECT_EQ(value, 6);
  bool notified = false;
  stream.ref().notify([&] { notified = true; });
  EXPECT_TRUE(notified);
  EXPECT_FALSE(Stream(cpu, "queued").ref().immediate());
}

TEST(ImmediateStream, CopiesAndZeroesAtOnce) {
  const Stream stream = Stream::immediate(cpu, "now");
  const std::vector<int> source = {1, 2, 3};
  std::vector<int> target(3);
  Buffer<int> buffer(stream, 3);
  stream.ref().copy(buffer.ref(), host_view(source.data(), source.size()));
  stream.ref().copy(host_view(target.data(), target.size()), buffer.ref());
  EXPECT_EQ(target, source);
  stream.ref().zero(buffer.ref());
  EXPECT_EQ(buffer.ref().data()[1], 0);
}

TEST(ImmediateStream, ItsEventsAreCompleteWhenRecorded) {
  const Stream stream = Stream::immediate(cpu, "now");
  const Stream queued(cpu, "queued");
  Event event(cpu);
  Gate gate;
  queued.ref().host("gate", gate.pass());
  queued.ref().record(event);
  EXPECT_FALSE(event.complete());
  stream.ref().record(event);  // the latest record is what counts
  EXPECT_TRUE(event.complete());
  Event elsewhere(Device{Backend::cpu, 1});
  EXPECT_THROW(stream.ref().record(elsewhere), std::logic_error);
}

TEST(ImmediateStream, AWaitHoldsTheCallingThread) {
  const Stream stream = Stream::immediate(cpu, "now");
  const Stream queued(cpu, "queued");
  Event event(cpu);
  Gate gate;
  std::atomic<bool> let_go = false;
  queued.ref().host("gate", gate.pass());
  queued.ref().record(event);
  const std::jthread opener([&] {
    let_go = true;
    gate.open();
  });
  stream.ref().wait(event);
  EXPECT_TRUE(let_go);
}

TEST(ImmediateStream, WhatWorkThrowsIsThrownThereAndNothingIsSkippedAfterwards) {
  const Stream stream = Stream::immediate(Device{Backend::cpu, 3}, "unlucky");
  const auto expect_error = [](const auto& enqueue, const char* operation) {
    try {
      enqueue();
      ADD_FAILURE() << "no error";
    } catch (const DeviceError& error) {
      EXPECT_THAT(error.what(),
                  AllOf(HasSubstr(operation), HasSubstr("unlucky"), HasSubstr("cpu:3"), HasSubstr("boom")));
      EXPECT_EQ(error.device(), (Device{Backend::cpu, 3}));
    }
  };
  expect_error([&] { stream.ref().host("explode", [] { throw std::runtime_error("boom"); }); }, "explode");
  int value = 3;
  expect_error([&] { stream.ref().enqueue(Double{&value, true}); }, "double");
  stream.ref().check();
  stream.ref().synchronize();
  stream.ref().enqueue(Double{&value});
  EXPECT_EQ(value, 6);
}

TEST(ImmediateStream, TheErrorOfAnotherStreamComesThroughAWait) {
  const Stream stream = Stream::immediate(cpu, "now");
  const Stream queued(cpu, "queued");
  Event event(cpu);
  Gate gate;  // until the event is recorded, which an error seen before would prevent
  queued.ref().host("gate", gate.pass());
  queued.ref().host("explode", [] { throw std::runtime_error("boom"); });
  queued.ref().record(event);
  gate.open();
  EXPECT_THROW(stream.ref().wait(event), DeviceError);
}

TEST(ImmediateStream, AGpuHasNone) {
  try {
    const Stream stream = Stream::immediate(Device{Backend::cuda, 0}, "server");
    FAIL() << "made";
  } catch (const std::logic_error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("\"server\" of cuda:0"), HasSubstr("only CPU streams")));
  }
}

/// A stream that stands at a gate, so that what is enqueued behind has not begun.
class LeaveOut : public ::testing::Test {
 protected:
  LeaveOut() { stream_.ref().host("gate", gate_.pass()); }
  ~LeaveOut() override { gate_.open(); }

  auto append(int number) {
    return [this, number] { seen_.push_back(number); };
  }

  Gate gate_;
  std::vector<int> seen_;
  std::stop_source stop_;
  Stream stream_{cpu, "test"};  // last: its work uses the others
};

TEST_F(LeaveOut, WorkMarkedIsLeftOutOnceAStopIsRequested) {
  const StreamRef stream = stream_.ref();
  const std::vector<int> source = {7};
  std::vector<int> target = {0};
  Event behind(cpu);
  std::atomic<bool> notified = false;
  stream.host("before", append(1));
  stream.leave_out_on(stop_.get_token());
  stream.host("marked", append(2));
  stream.copy(host_view(target.data(), 1), host_view(source.data(), 1));
  stream.record(behind);
  stream.notify([&] { notified = true; });
  stream.leave_out_on({});
  stream.host("after", append(3));
  stop_.request_stop();
  gate_.open();
  behind.synchronize();
  stream.synchronize();  // no error either
  EXPECT_EQ(seen_, (std::vector<int>{1, 3}));
  EXPECT_EQ(target[0], 0);
  EXPECT_TRUE(notified);
}

TEST_F(LeaveOut, WithoutAStopEverythingRuns) {
  stream_.ref().leave_out_on(stop_.get_token());
  stream_.ref().host("marked", append(2));
  gate_.open();
  stream_.ref().synchronize();
  EXPECT_EQ(seen_, std::vector<int>{2});
}

// A wait that is left out would let later work run too early if that work were not left out, too.
TEST_F(LeaveOut, SoAreWaits) {
  Gate never;
  const Stream other(cpu, "other");
  Event unreached(cpu);
  other.ref().host("gate", never.pass());
  other.ref().record(unreached);
  stream_.ref().leave_out_on(stop_.get_token());
  stream_.ref().wait(unreached);
  stream_.ref().host("marked", append(2));
  stop_.request_stop();
  gate_.open();
  stream_.ref().synchronize();  // the other stream still stands
  EXPECT_FALSE(unreached.complete());
  EXPECT_EQ(seen_, std::vector<int>{});
  never.open();
}

TEST_F(LeaveOut, WhatHasBegunGoesOnToItsEnd) {
  Gate inner;
  stream_.ref().leave_out_on(stop_.get_token());
  std::atomic<bool> inside = false;
  stream_.ref().host("marked", [&, pass = inner.pass()] {
    inside = true;
    inside.notify_all();
    pass();
    seen_.push_back(2);
  });
  stream_.ref().host("behind", append(3));
  gate_.open();
  inside.wait(false);
  stop_.request_stop();
  inner.open();
  stream_.ref().synchronize();
  EXPECT_EQ(seen_, std::vector<int>{2});
}

TEST_F(LeaveOut, EveryCallMarksWhatComesAfterIt) {
  std::stop_source other;
  stream_.ref().leave_out_on(stop_.get_token());
  stream_.ref().host("first", append(1));
  stream_.ref().leave_out_on(other.get_token());
  stream_.ref().host("second", append(2));
  other.request_stop();
  gate_.open();
  stream_.ref().synchronize();
  EXPECT_EQ(seen_, std::vector<int>{1});
}

TEST_F(LeaveOut, AFailureOutranksIt) {
  stream_.ref().host("explode", [] { throw std::runtime_error("boom"); });
  stream_.ref().leave_out_on(stop_.get_token());
  stream_.ref().host("marked", append(2));
  stop_.request_stop();
  gate_.open();
  EXPECT_THROW(stream_.ref().synchronize(), DeviceError);
}

}  // namespace
}  // namespace tardigrad
