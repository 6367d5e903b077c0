// Order, errors and failures of the emulated cudart.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/cuda_emulation/device_array.h"
#include "tests/cuda_emulation/faults.h"
#include "tests/cuda_emulation/stream_work.h"

namespace tardigrad::emulation {
namespace {

class Event {
 public:
  explicit Event(unsigned flags = cudaEventDisableTiming) {
    expect_cuda(cudaEventCreateWithFlags(&event_, flags));
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { static_cast<void>(cudaEventDestroy(event_)); }
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Work that stays until the gate is opened.
class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() { open(); }
  std::function<void()> pass() {
    return [opened = opened_] { opened->wait(false); };
  }
  void open() {
    *opened_ = true;
    opened_->notify_all();
  }

 private:
  std::shared_ptr<std::atomic<bool>> opened_ = std::make_shared<std::atomic<bool>>(false);
};

TEST(EmulatedEvents, StandForTheWorkBeforeTheirRecord) {
  const Stream producer;
  const Stream consumer;
  const Event event;
  Gate gate;
  int value = 0;
  int seen = -1;
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess);  // never recorded
  expect_cuda(enqueue(producer, gate.pass()));
  expect_cuda(enqueue(producer, [&] { value = 42; }));
  expect_cuda(cudaEventRecord(event, producer));
  expect_cuda(cudaStreamWaitEvent(consumer, event, 0));
  expect_cuda(enqueue(consumer, [&] { seen = value; }));
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  EXPECT_EQ(cudaStreamQuery(consumer), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);  // as CUDA keeps it
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  gate.open();
  consumer.synchronize();
  EXPECT_EQ(seen, 42);
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
}

TEST(EmulatedCopies, FromMemoryOfTheProgramMayReturnBeforeTheyHaveArrived) {
  Gate gate;
  int* on_gpu = nullptr;
  expect_cuda(cudaMalloc(&on_gpu, sizeof(int)));
  expect_cuda(cudaMemset(on_gpu, 0, sizeof(int)));
  expect_cuda(cudaDeviceSynchronize());
  expect_cuda(enqueue(nullptr, gate.pass()));
  int value = 42;
  expect_cuda(cudaMemcpy(on_gpu, &value, sizeof(int), cudaMemcpyHostToDevice));
  value = 43;  // has been read by now
  int seen = -1;
  const Stream other;
  expect_cuda(enqueue(other, [&] { seen = *on_gpu; }));
  other.synchronize();
  EXPECT_EQ(seen, 0) << "another stream does not wait for it";
  gate.open();
  expect_cuda(cudaDeviceSynchronize());
  expect_cuda(cudaMemcpy(&seen, on_gpu, sizeof(int), cudaMemcpyDeviceToHost));
  EXPECT_EQ(seen, 42);
  expect_cuda(cudaFree(on_gpu));
}

TEST(EmulatedEvents, MeasureTimeWhereTheyAreMadeTo) {
  const Stream stream;
  const Event start(cudaEventDefault);
  const Event end(cudaEventDefault);
  const Event untimed;
  float milliseconds = -1;
  expect_cuda(cudaEventRecord(start, stream));
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle);  // not recorded
  expect_cuda(enqueue(stream, [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }));
  expect_cuda(cudaEventRecord(end, stream));
  expect_cuda(cudaEventSynchronize(end));
  expect_cuda(cudaEventElapsedTime(&milliseconds, start, end));
  EXPECT_GE(milliseconds, 2);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, untimed), cudaErrorInvalidResourceHandle);
}

TEST(EmulatedHandles, AreRefusedOnceDestroyedAndOnOtherDevices) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  expect_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  expect_cuda(cudaSetDevice(1));
  expect_cuda(cudaEventCreate(&event));
  EXPECT_EQ(cudaEventRecord(event, stream), cudaErrorInvalidResourceHandle);
  expect_cuda(cudaSetDevice(0));
  expect_cuda(cudaEventDestroy(event));
  EXPECT_EQ(cudaEventQuery(event), cudaErrorInvalidResourceHandle);
  expect_cuda(cudaStreamDestroy(stream));
  EXPECT_EQ(cudaStreamQuery(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorInvalidResourceHandle);
}

TEST(EmulatedDevices, AreWaitedForAlsoWhereStreamsAreDestroyed) {
  std::atomic<bool> open = false;
  std::atomic<bool> done = false;
  const auto wait = [&] {
    open.wait(false);
    done = true;
  };
  const auto call = [](void* function) { (*static_cast<decltype(wait)*>(function))(); };
  {
    const Stream stream;
    expect_cuda(cudaLaunchHostFunc(stream, call, const_cast<void*>(static_cast<const void*>(&wait))));
  }
  const std::jthread opener([&] {
    open = true;
    open.notify_all();
  });
  expect_cuda(cudaDeviceSynchronize());
  EXPECT_TRUE(done);
}

TEST(EmulatedHostFunctions, MustNotCallCuda) {
  const Stream stream;
  cudaError_t within = cudaSuccess;
  const auto call = [](void* status) { *static_cast<cudaError_t*>(status) = cudaDeviceSynchronize(); };
  expect_cuda(cudaLaunchHostFunc(stream, call, &within));
  stream.synchronize();
  EXPECT_EQ(within, cudaErrorNotPermitted);
}

TEST(EmulatedMemory, IsLimitedAndItsEndsAreWatched) {
  const Stream stream;
  std::size_t free = 0;
  std::size_t total = 0;
  void* memory = nullptr;
  expect_cuda(cudaDeviceSynchronize());  // what streams of other tests are still to free is free
  expect_cuda(cudaMemGetInfo(&free, &total));
  EXPECT_EQ(cudaMalloc(&memory, total + 1), cudaErrorMemoryAllocation);
  expect_cuda(cudaMallocAsync(&memory, 1000, stream));
  std::size_t left = 0;
  expect_cuda(cudaMemGetInfo(&left, &total));
  EXPECT_EQ(left, free - 1024);
  std::vector<char> host(2000);
  EXPECT_EQ(cudaMemcpyAsync(memory, host.data(), 1001, cudaMemcpyDefault, stream), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(memory, 0, 1001, stream), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(host.data(), host.data() + 1000, 1000, cudaMemcpyDeviceToHost, stream),
            cudaErrorInvalidValue);
  expect_cuda(cudaFreeAsync(memory, stream));
  stream.synchronize();
  expect_cuda(cudaMemGetInfo(&left, &total));
  EXPECT_EQ(left, free);
  EXPECT_EQ(cudaFree(memory), cudaErrorInvalidValue);
}

TEST(EmulatedMemory, OfAPoolIsSeenByDevicesThatWereGivenAccess) {
  const Stream stream;
  void* memory = nullptr;
  expect_cuda(cudaMallocAsync(&memory, 1000, stream));
  cudaMemPool_t pool = nullptr;
  expect_cuda(cudaDeviceGetDefaultMemPool(&pool, 0));
  cudaMemAccessDesc access{};
  access.location = {cudaMemLocationTypeDevice, 1};
  EXPECT_TRUE(accessible(0, memory, 1000));
  EXPECT_FALSE(accessible(0, memory, 1001));
  EXPECT_FALSE(accessible(1, memory, 1000));
  access.flags = cudaMemAccessFlagsProtReadWrite;
  expect_cuda(cudaMemPoolSetAccess(pool, &access, 1));
  EXPECT_TRUE(accessible(1, memory, 1000));
  access.flags = cudaMemAccessFlagsProtNone;
  expect_cuda(cudaMemPoolSetAccess(pool, &access, 1));
  EXPECT_FALSE(accessible(1, memory, 1000));
  expect_cuda(cudaFreeAsync(memory, stream));
}

TEST(EmulatedFaults, StayWithTheirDeviceAndSkipTheWorkBehind) {
  int ran = 0;
  {
    const Stream stream;
    const Event behind;
    expect_cuda(enqueue(stream, [&] { ++ran; }));
    stream.synchronize();
    fail_launch(0, 2);
    Gate gate;  // for what is enqueued meanwhile
    expect_cuda(enqueue(stream, gate.pass()));
    expect_cuda(enqueue(stream, [&] { ++ran; }));  // fails
    expect_cuda(enqueue(stream, [&] { ++ran; }));
    expect_cuda(cudaLaunchHostFunc(
        stream, [](void* count) { ++*static_cast<int*>(count); }, &ran));
    expect_cuda(cudaEventRecord(behind, stream));
    gate.open();
    EXPECT_EQ(cudaEventSynchronize(behind), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
    EXPECT_EQ(enqueue(stream, [&] { ++ran; }), cudaErrorLaunchFailure);
    void* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, 1), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);  // not forgotten
    EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
    const Stream elsewhere;
    expect_cuda(enqueue(elsewhere, [&] { ran += 10; }));
    elsewhere.synchronize();
    EXPECT_EQ(cudaSetDevice(0), cudaErrorLaunchFailure);
  }
  mend(0);
  EXPECT_EQ(ran, 11);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);  // the last one of this thread
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

}  // namespace
}  // namespace tardigrad::emulation
