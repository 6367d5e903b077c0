// What every backend promises (runtime/device/stream.h, event.h, buffer.h), run over each backend that is
// there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "runtime/device/stream.h"
#include "tests/runtime/device/backends.h"
#include "tests/support/gate.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;
using ::testing::HasSubstr;

/// Looks often enough that work which is free to run does run, without hoping for an exact time.
bool stays_incomplete(const Event& event) {
  for (int look = 0; look < 2000; ++look) {
    if (event.complete()) return false;
    std::this_thread::yield();
  }
  return true;
}

class DeviceContract : public BackendTest {
 protected:
  static std::vector<int> counting(std::size_t size, int from = 0) {
    std::vector<int> values(size);
    std::iota(values.begin(), values.end(), from);
    return values;
  }
};

TEST_P(DeviceContract, WorkOfOneStreamRunsInOrder) {
  Stream stream(device(), "test");
  std::vector<int> seen;
  for (int i = 0; i < 1000; ++i) stream.ref().host("append", [&seen, i] { seen.push_back(i); });
  stream.ref().synchronize();
  EXPECT_EQ(seen, counting(1000));
}

TEST_P(DeviceContract, CopiesGoThroughDeviceMemoryInOrder) {
  Stream stream(device(), "test");
  const std::vector<int> source = counting(1000);
  std::vector<int> target(1000);
  Buffer<int> first(stream, 1000);
  Buffer<int> second(stream, 1000);
  stream.ref().copy(first.ref(), host_view(source.data(), source.size()));
  stream.ref().copy(second.ref(), first.ref());
  stream.ref().zero(first.ref());
  stream.ref().copy(host_view(target.data(), target.size()), second.ref());
  stream.ref().synchronize();
  EXPECT_EQ(target, source);
  stream.ref().copy(host_view(target.data(), target.size()), first.ref());
  stream.ref().synchronize();
  EXPECT_EQ(target, std::vector<int>(1000, 0));
}

TEST_P(DeviceContract, StreamsAreUnorderedWithoutAnEvent) {
  Stream held(device(), "held");
  Stream free(device(), "free");
  Gate gate;
  Event held_done(device());
  held.ref().host("gate", gate.pass());
  held.ref().record(held_done);
  std::vector<int> target(10);
  Buffer<int> buffer(free, 10);
  const std::vector<int> source = counting(10);
  free.ref().copy(buffer.ref(), host_view(source.data(), source.size()));
  free.ref().copy(host_view(target.data(), target.size()), buffer.ref());
  free.ref().synchronize();  // returns although the other stream stands still
  EXPECT_EQ(target, source);
  EXPECT_FALSE(held_done.complete());
  gate.open();
  held_done.synchronize();
}

TEST_P(DeviceContract, AWaiterDoesNotRunBeforeTheRelease) {
  Stream producer(device(), "producer");
  Stream consumer(device(), "consumer");
  Gate gate;
  Event produced(device());
  Event before_wait(device());
  Event consumed(device());
  int value = 0;
  int seen = -1;
  producer.ref().host("gate", gate.pass());
  producer.ref().host("produce", [&] { value = 42; });
  producer.ref().record(produced);
  consumer.ref().record(before_wait);
  consumer.ref().wait(produced);
  consumer.ref().host("consume", [&] { seen = value; });
  consumer.ref().record(consumed);
  before_wait.synchronize();  // the consumer has come to its wait
  EXPECT_TRUE(stays_incomplete(consumed));
  gate.open();
  consumed.synchronize();
  EXPECT_EQ(seen, 42);
}

TEST_P(DeviceContract, AWaitTakesTheRecordingOfItsTime) {
  Stream producer(device(), "producer");
  Stream consumer(device(), "consumer");
  Gate gate;
  Event event(device());
  producer.ref().record(event);
  consumer.ref().wait(event);  // the first recording, which nothing holds back
  producer.ref().host("gate", gate.pass());
  producer.ref().record(event);
  consumer.ref().synchronize();
  EXPECT_FALSE(event.complete());
  gate.open();
  event.synchronize();
  EXPECT_TRUE(event.complete());
}

TEST_P(DeviceContract, AnEventTakesThePointOfAnotherAndKeepsIt) {
  const Stream stream(device(), "stream");
  Event one(device());
  Event other(device());
  Gate first;
  Gate second;
  stream.ref().host("first", first.pass());
  stream.ref().record(one);
  other.take_point(one);
  EXPECT_FALSE(other.complete());
  stream.ref().host("second", second.pass());
  stream.ref().record(one);  // does not move the other
  first.open();
  other.synchronize();
  EXPECT_TRUE(other.complete());
  EXPECT_FALSE(one.complete());
  stream.ref().record(other);  // nor the other way round
  EXPECT_FALSE(other.complete());
  one.take_point(other);
  second.open();
  one.synchronize();
  EXPECT_TRUE(one.complete() && other.complete());
}

TEST_P(DeviceContract, AnEventTakesNoPointOfAnotherDeviceNorOfOneWithATime) {
  Event event(device());
  TimedEvent timed(device());
  EXPECT_THROW(event.take_point(timed), std::logic_error);
  EXPECT_THROW(timed.take_point(event), std::logic_error);
  const Event elsewhere(GetParam() == Backend::cpu ? Device{Backend::cpu, 1} : Device{Backend::cpu, 0});
  EXPECT_THROW(event.take_point(elsewhere), std::logic_error);
}

TEST_P(DeviceContract, AnEventNeverRecordedIsComplete) {
  Stream stream(device(), "test");
  const Event event(device());
  EXPECT_TRUE(event.complete());
  event.synchronize();
  stream.ref().wait(event);
  stream.ref().synchronize();
}

TEST_P(DeviceContract, AChainOverManyStreamsKeepsItsOrder) {
  constexpr int links = 200;
  std::vector<Stream> streams;
  for (int i = 0; i < 5; ++i) streams.emplace_back(device(), "chain");
  std::vector<Event> events;
  std::vector<int> seen;
  for (int i = 0; i < links; ++i) {
    const StreamRef stream = streams[static_cast<std::size_t>(i) % streams.size()];
    if (i > 0) stream.wait(events.back());
    stream.host("append", [&seen, i] { seen.push_back(i); });
    events.emplace_back(device());
    stream.record(events.back());
  }
  events.back().synchronize();
  EXPECT_EQ(seen, counting(links));
}

TEST_P(DeviceContract, EventsOfAnotherDeviceAreNotRecorded) {
  Stream stream(device(), "test");
  Event elsewhere(GetParam() == Backend::cpu ? Device{Backend::cpu, 1} : Device{Backend::cpu, 0});
  try {
    stream.ref().record(elsewhere);
    FAIL() << "recorded";
  } catch (const std::logic_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(elsewhere.device().name()));
    EXPECT_THAT(error.what(), HasSubstr(device().name()));
  }
}

TEST_P(DeviceContract, StreamsOfOtherDevicesOfTheBackendMayWait) {
  if (GetParam() == Backend::cuda && cuda_device_count() < 2) GTEST_SKIP() << "needs two GPUs";
  Stream producer(device(0), "producer");
  Stream consumer(device(1), "consumer");
  Event produced(device(0));
  int value = 0;
  int seen = -1;
  producer.ref().host("produce", [&] { value = 42; });
  producer.ref().record(produced);
  consumer.ref().wait(produced);
  consumer.ref().host("consume", [&] { seen = value; });
  consumer.ref().synchronize();
  EXPECT_EQ(seen, 42);
}

TEST_P(DeviceContract, ErrorsOfEnqueuedWorkSayWhatFailedWhere) {
  Stream stream(device(), "unlucky");
  Event behind(device());
  bool ran = false;
  bool notified = false;
  stream.ref().host("explode", [] { throw std::runtime_error("boom"); });
  // What is enqueued behind may see the error already; nothing of it may run.
  try {
    stream.ref().host("later", [&] { ran = true; });
  } catch (const DeviceError&) {
  }
  stream.ref().record(behind);
  stream.ref().notify([&] { notified = true; });
  try {
    stream.ref().synchronize();
    FAIL() << "no error";
  } catch (const DeviceError& error) {
    EXPECT_THAT(error.what(), HasSubstr("explode"));
    EXPECT_THAT(error.what(), HasSubstr("unlucky"));
    EXPECT_THAT(error.what(), HasSubstr("boom"));
    EXPECT_THAT(error.what(), HasSubstr(device().name()));
    EXPECT_EQ(error.device(), device());
  }
  EXPECT_FALSE(ran);
  EXPECT_TRUE(notified);
  EXPECT_TRUE(behind.complete());
  EXPECT_THROW(stream.ref().check(), DeviceError);
  EXPECT_THROW(stream.ref().host("more", [] {}), DeviceError);
}

TEST_P(DeviceContract, DestructionWaitsForWorkInFlight) {
  Gate gate;
  int done = 0;
  std::thread opener;
  {
    Stream stream(device(), "test");
    Buffer<int> buffer(stream, 1000);
    stream.ref().host("gate", gate.pass());
    stream.ref().zero(buffer.ref());
    stream.ref().host("count", [&] { ++done; });
    opener = std::thread([&] { gate.open(); });
  }
  EXPECT_EQ(done, 1);
  opener.join();
}

TEST_P(DeviceContract, DestructionDoesNotThrowWhatWorkThrew) {
  Stream stream(device(), "test");
  stream.ref().host("explode", [] { throw std::runtime_error("boom"); });
}

TEST_P(DeviceContract, ABufferOutlivesItsStream) {
  auto stream = std::make_unique<Stream>(device(), "test");
  Buffer<int> buffer(*stream, 1000);
  stream.reset();
  EXPECT_EQ(buffer.size(), 1000U);
}

TEST_P(DeviceContract, BuffersMoveAndAreAligned) {
  Stream stream(device(), "test");
  Buffer<float> empty(stream, 0);
  EXPECT_EQ(empty.size(), 0U);
  Buffer<float> buffer(stream, 3);
  const float* data = buffer.ref().data();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0U);
  Buffer<float> moved(std::move(buffer));
  EXPECT_EQ(moved.ref().data(), data);
  EXPECT_EQ(moved.device(), device());
  empty = std::move(moved);
  EXPECT_EQ(empty.ref().data(), data);
  EXPECT_THROW(empty.ref().subview(2, 2), std::out_of_range);
  EXPECT_EQ(empty.ref().subview(1, 2).data(), data + 1);
}

TEST_P(DeviceContract, CopiesOfDifferentSizesAreRefused) {
  Stream stream(device(), "test");
  Buffer<float> small(stream, 3);
  Buffer<float> large(stream, 4);
  EXPECT_THROW(stream.ref().copy(small.ref(), large.ref()), std::logic_error);
}

TEST_P(DeviceContract, TimedEventsMeasureWhatLiesBetween) {
  Stream stream(device(), "test");
  TimedEvent start(device());
  TimedEvent end(device());
  Gate gate;
  stream.ref().record(start);
  stream.ref().host("gate", gate.pass());
  stream.ref().record(end);
  EXPECT_THROW(seconds_between(start, end), std::logic_error);  // not complete
  start.synchronize();
  const auto before = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - before < std::chrono::milliseconds(2)) {
  }
  gate.open();
  end.synchronize();
  EXPECT_GE(seconds_between(start, end), 1.9e-3);  // CUDA's resolution is half a microsecond
  EXPECT_LE(seconds_between(end, start), -1.9e-3);
}

// Also what runs under ThreadSanitizer: every stream hands a counter on through events, and counts work of
// its own.
TEST_P(DeviceContract, EightStreamsOfTenThousandOperations) {
  constexpr int streams_count = 8;
  constexpr int operations = 10000;
  constexpr int hand_overs = 1000;
  std::vector<Stream> streams;
  std::vector<Event> tokens;
  for (int i = 0; i < streams_count; ++i) {
    streams.emplace_back(device(), "stress");
    tokens.emplace_back(device());
  }
  std::vector<int> own(streams_count, 0);
  int shared = 0;  // written by all streams in turn; the events alone keep it from being a race
  for (int i = 0; i < operations; ++i) {
    for (std::size_t s = 0; s < streams.size(); ++s) {
      const StreamRef stream = streams[s];
      const bool hand_over = i < hand_overs;
      if (hand_over) stream.wait(tokens[(s + streams.size() - 1) % streams.size()]);
      stream.host("count", [&own, &shared, s, hand_over] {
        ++own[s];
        if (hand_over) ++shared;
      });
      if (hand_over) stream.record(tokens[s]);
    }
  }
  for (const Stream& stream : streams) stream.ref().synchronize();
  EXPECT_EQ(own, std::vector<int>(streams_count, operations));
  EXPECT_EQ(shared, streams_count * hand_overs);
}

TEST_P(DeviceContract, HostThreadsMayShareAStream) {
  Stream stream(device(), "shared");
  int count = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) stream.ref().host("count", [&count] { ++count; });
      });
    }
  }
  stream.ref().synchronize();
  EXPECT_EQ(count, 2000);
}

INSTANTIATE_TEST_SUITE_P(Backends, DeviceContract, every_backend(), backend_name);

// Only the CPU backend can let work fail on purpose and go on.
TEST(CpuStream, AnErrorReachesTheStreamsThatWaited) {
  Stream producer(Device{}, "producer");
  Stream consumer(Device{}, "consumer");
  Event produced(Device{});
  Gate gate;
  bool consumed = false;
  producer.ref().host("gate", gate.pass());
  producer.ref().host("explode", [] { throw std::runtime_error("boom"); });
  producer.ref().record(produced);
  consumer.ref().wait(produced);
  consumer.ref().host("consume", [&] { consumed = true; });
  gate.open();
  EXPECT_THROW(produced.synchronize(), DeviceError);
  try {
    consumer.ref().synchronize();
    FAIL() << "no error";
  } catch (const DeviceError& error) {
    EXPECT_THAT(error.what(), HasSubstr("explode"));
    EXPECT_THAT(error.what(), HasSubstr("producer"));
  }
  EXPECT_FALSE(consumed);
}

TEST(CpuStream, AHugeAllocationFailsWithTheDevicesName) {
  Stream stream(Device{Backend::cpu, 3}, "test");
  try {
    const Buffer<float> buffer(stream, std::size_t{1} << 60);
    FAIL() << "allocated";
  } catch (const DeviceError& error) {
    EXPECT_THAT(error.what(), HasSubstr("cpu:3"));
  }
}

static_assert(!std::is_constructible_v<StreamRef, std::nullptr_t>);
static_assert(!std::is_constructible_v<StreamRef, int>);
static_assert(!std::is_copy_constructible_v<Stream> && !std::is_copy_constructible_v<Event>);
static_assert(std::is_nothrow_move_constructible_v<Stream> && std::is_nothrow_move_constructible_v<Event>);
static_assert(!std::is_convertible_v<BufferRef<const float>, BufferRef<float>>);

}  // namespace
}  // namespace tardigrad
