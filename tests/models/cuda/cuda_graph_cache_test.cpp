#include <stdexcept>

#include "models/cuda/graph_cache.h"
#include "tests/models/cuda/cuda_gpu.h"

namespace tardigrad::models::cuda {
namespace {

using models::testing::OnDevice;

class CudaGraphCache : public models::testing::OnGpu<::testing::Test> {
 protected:
  /// values[i] ← 0x3f3f3f3f on the stream, by a graph or not; counts how often it is enqueued from the host.
  void set(GraphCache& graphs, const StreamRef& stream, OnDevice<float>& values, std::size_t i) {
    models::testing::run_on(stream, [&](CudaStream native) {
      graphs.run(native, {nullptr, values.data() + i, nullptr}, [&] {
        ++enqueued_;
        ASSERT_EQ(cudaMemsetAsync(values.data() + i, 0x3f, sizeof(float), native), cudaSuccess);
      });
    });
  }

  int enqueued_ = 0;
};

TEST_F(CudaGraphCache, EnqueuesDirectlyThenCapturesThenRelaunches) {
  const Stream stream(gpu, "test");
  OnDevice<float> values(stream, {0, 0, 0});
  GraphCache graphs(gpu, true);
  for (int repeat = 0; repeat < 5; ++repeat) set(graphs, stream, values, 1);
  EXPECT_EQ(enqueued_, 2);
  EXPECT_EQ(graphs.captured(), 1U);
  EXPECT_EQ(values.values().at(0), 0);
  EXPECT_NE(values.values().at(1), 0);
}

TEST_F(CudaGraphCache, LaunchesWhatWasCaptured) {
  const Stream stream(gpu, "test");
  OnDevice<float> values(stream, {0});
  GraphCache graphs(gpu, true);
  set(graphs, stream, values, 0);
  set(graphs, stream, values, 0);
  const float zero = 0;
  stream.ref().copy(BufferRef<float>(values.data(), 1, gpu), host_view(&zero, 1));
  set(graphs, stream, values, 0);
  EXPECT_EQ(enqueued_, 2);
  EXPECT_NE(values.values().at(0), 0);
}

TEST_F(CudaGraphCache, TheLeastRecentlyUsedLeave) {
  const Stream stream(gpu, "test");
  OnDevice<float> values(stream, std::vector<float>(GraphCache::capacity + 1));
  GraphCache graphs(gpu, true);
  for (int repeat = 0; repeat < 2; ++repeat) {
    for (std::size_t i = 0; i < GraphCache::capacity; ++i) set(graphs, stream, values, i);
  }
  EXPECT_EQ(graphs.captured(), GraphCache::capacity);
  set(graphs, stream, values, 0);
  set(graphs, stream, values, GraphCache::capacity);  // in the place of 1
  enqueued_ = 0;
  set(graphs, stream, values, 0);
  EXPECT_EQ(enqueued_, 0);
  set(graphs, stream, values, 1);
  EXPECT_EQ(enqueued_, 1);
}

TEST_F(CudaGraphCache, EndsACaptureThatFails) {
  const Stream stream(gpu, "test");
  GraphCache graphs(gpu, true);
  OnDevice<float> values(stream, {0});
  set(graphs, stream, values, 0);
  const auto fail = [&] {
    models::testing::run_on(stream, [&](CudaStream native) {
      graphs.run(native, {nullptr, values.data(), nullptr}, [] { throw std::runtime_error("lost"); });
    });
  };
  EXPECT_THROW(fail(), DeviceError);
  set(graphs, stream, values, 0);  // the stream works
  EXPECT_EQ(graphs.captured(), 1U);
}

TEST_F(CudaGraphCache, SwitchedOffEnqueuesAlways) {
  const Stream stream(gpu, "test");
  OnDevice<float> values(stream, {0});
  GraphCache graphs(gpu, false);
  for (int repeat = 0; repeat < 3; ++repeat) set(graphs, stream, values, 0);
  EXPECT_EQ(enqueued_, 3);
}

}  // namespace
}  // namespace tardigrad::models::cuda
