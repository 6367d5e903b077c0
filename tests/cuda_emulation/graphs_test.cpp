// Capture of streams into graphs by the emulated cudart, and what CUDA forbids meanwhile.

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/cuda_emulation/device_array.h"
#include "tests/cuda_emulation/stream_work.h"

namespace tardigrad::emulation {
namespace {

class EmulatedGraphs : public ::testing::Test {
 protected:
  EmulatedGraphs() {
    expect_cuda(cudaEventCreateWithFlags(&forked_, cudaEventDisableTiming));
    expect_cuda(cudaEventCreateWithFlags(&joined_, cudaEventDisableTiming));
  }
  ~EmulatedGraphs() override {
    for (const Stream* stream : {&stream_, &other_}) static_cast<void>(cudaStreamSynchronize(*stream));
    static_cast<void>(cudaEventDestroy(forked_));
    static_cast<void>(cudaEventDestroy(joined_));
    static_cast<void>(cudaGetLastError());
  }

  void append(cudaStream_t stream, int number) {
    expect_cuda(enqueue(stream, [this, number] { seen_.push_back(number); }));
  }
  void begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal) {
    expect_cuda(cudaStreamBeginCapture(stream_, mode));
  }
  cudaError_t end() {
    cudaGraph_t graph = nullptr;
    const cudaError_t status = cudaStreamEndCapture(stream_, &graph);
    EXPECT_EQ(graph != nullptr, status == cudaSuccess);
    if (status == cudaSuccess) {
      expect_cuda(cudaGraphInstantiate(&executable_, graph, 0));
      expect_cuda(cudaGraphDestroy(graph));
    }
    return status;
  }

  const Stream stream_;
  const Stream other_;
  cudaEvent_t forked_ = nullptr;
  cudaEvent_t joined_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
  std::vector<int> seen_;
};

TEST_F(EmulatedGraphs, RunWhatWasCapturedAtEachLaunch) {
  const DeviceArray values(Format::fp32, std::vector<float>(4, 1));
  begin();
  append(stream_, 1);
  expect_cuda(cudaMemsetAsync(values.data(), 0, 8, stream_));
  expect_cuda(cudaLaunchHostFunc(
      stream_, [](void* seen) { static_cast<std::vector<int>*>(seen)->push_back(2); }, &seen_));
  ASSERT_EQ(end(), cudaSuccess);
  EXPECT_TRUE(seen_.empty());
  EXPECT_EQ(values.values(), std::vector<float>(4, 1));
  append(stream_, 0);
  for (int i = 0; i < 2; ++i) expect_cuda(cudaGraphLaunch(executable_, stream_));
  append(stream_, 3);
  expect_cuda(cudaGraphExecDestroy(executable_));  // launched is launched
  EXPECT_EQ(cudaGraphLaunch(executable_, stream_), cudaErrorInvalidResourceHandle);
  stream_.synchronize();
  EXPECT_EQ(seen_, (std::vector<int>{0, 1, 2, 1, 2, 3}));
  EXPECT_EQ(values.values(), (std::vector<float>{0, 0, 1, 1}));
}

TEST_F(EmulatedGraphs, TakeInStreamsThatForkAndJoin) {
  begin();
  append(stream_, 1);
  expect_cuda(cudaEventRecord(forked_, stream_));
  expect_cuda(cudaStreamWaitEvent(other_, forked_, 0));
  append(other_, 2);
  cudaStreamCaptureStatus status{};
  expect_cuda(cudaStreamIsCapturing(other_, &status));
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  expect_cuda(cudaEventRecord(joined_, other_));
  expect_cuda(cudaStreamWaitEvent(stream_, joined_, 0));
  append(stream_, 3);
  ASSERT_EQ(end(), cudaSuccess);
  expect_cuda(cudaStreamIsCapturing(other_, &status));
  EXPECT_EQ(status, cudaStreamCaptureStatusNone);
  expect_cuda(cudaGraphLaunch(executable_, other_));
  other_.synchronize();
  EXPECT_EQ(seen_, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(cudaEventQuery(forked_), cudaErrorCapturedEvent);
  expect_cuda(cudaEventRecord(forked_, stream_));  // an event like any other again
  expect_cuda(cudaEventSynchronize(forked_));
}

TEST_F(EmulatedGraphs, NeedEveryForkJoined) {
  begin();
  expect_cuda(cudaEventRecord(forked_, stream_));
  expect_cuda(cudaStreamWaitEvent(other_, forked_, 0));
  append(other_, 1);
  append(stream_, 2);
  EXPECT_EQ(end(), cudaErrorStreamCaptureUnjoined);
}

TEST_F(EmulatedGraphs, DoNotDependOnWorkOutsideOfThem) {
  append(other_, 1);
  expect_cuda(cudaEventRecord(forked_, other_));
  begin();
  EXPECT_EQ(cudaStreamWaitEvent(stream_, forked_, 0), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
}

TEST_F(EmulatedGraphs, AreBrokenByLookingAtTheStreamMeanwhile) {
  const auto broken_by = [&](const auto& call, cudaError_t expected) {
    begin();
    EXPECT_EQ(call(), expected);
    EXPECT_EQ(enqueue(stream_, [] {}), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
  };
  void* memory = nullptr;
  broken_by([&] { return cudaStreamQuery(stream_); }, cudaErrorStreamCaptureUnsupported);
  broken_by([&] { return cudaStreamSynchronize(stream_); }, cudaErrorStreamCaptureUnsupported);
  broken_by([&] { return cudaMalloc(&memory, 1); }, cudaErrorStreamCaptureUnsupported);
  broken_by([&] { return cudaDeviceSynchronize(); }, cudaErrorStreamCaptureUnsupported);
  broken_by([&] { return cudaEventQuery(joined_); }, cudaErrorStreamCaptureUnsupported);
  broken_by(
      [&] {
        expect_cuda(cudaEventRecord(forked_, stream_));
        return cudaEventQuery(forked_);
      },
      cudaErrorCapturedEvent);
}

TEST_F(EmulatedGraphs, OfModeGlobalForbidUnsafeCallsToOtherThreads) {
  const auto from_another_thread = [](cudaError_t& status) {
    std::thread([&status] {
      void* memory = nullptr;
      status = cudaMalloc(&memory, 16);
      if (status == cudaSuccess) static_cast<void>(cudaFree(memory));
    }).join();
  };
  cudaError_t status{};
  begin(cudaStreamCaptureModeThreadLocal);
  from_another_thread(status);
  EXPECT_EQ(status, cudaSuccess);
  EXPECT_EQ(end(), cudaSuccess);
  begin(cudaStreamCaptureModeGlobal);
  from_another_thread(status);
  EXPECT_EQ(status, cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
  begin(cudaStreamCaptureModeRelaxed);
  void* memory = nullptr;
  expect_cuda(cudaMalloc(&memory, 16));
  expect_cuda(cudaFree(memory));
  EXPECT_EQ(end(), cudaSuccess);
}

TEST_F(EmulatedGraphs, AreUpdatedByGraphsOfTheSameShape) {
  const auto captured = [&](std::vector<int> numbers) {
    begin();
    for (const int number : numbers) append(stream_, number);
    cudaGraph_t graph = nullptr;
    expect_cuda(cudaStreamEndCapture(stream_, &graph));
    return graph;
  };
  expect_cuda(cudaGraphInstantiate(&executable_, captured({1, 2}), 0));
  cudaGraphExecUpdateResultInfo result{};
  EXPECT_EQ(cudaGraphExecUpdate(executable_, captured({3}), &result), cudaErrorGraphExecUpdateFailure);
  EXPECT_EQ(result.result, cudaGraphExecUpdateErrorTopologyChanged);
  expect_cuda(cudaGraphExecUpdate(executable_, captured({4, 5}), &result));
  expect_cuda(cudaGraphLaunch(executable_, stream_));
  stream_.synchronize();
  EXPECT_EQ(seen_, (std::vector<int>{4, 5}));
}

}  // namespace
}  // namespace tardigrad::emulation
