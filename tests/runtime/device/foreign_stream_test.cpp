#include "runtime/device/cuda/foreign_stream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "runtime/device/cuda/native_call.h"
#include "tests/runtime/device/gpus.h"

namespace tardigrad {
namespace {

struct Native {
  static constexpr const char* name = "native";
};

class ForeignStreamOfAGpu : public testing::GpusTest<1> {};

TEST_F(ForeignStreamOfAGpu, RunsBehindWhatIsEnqueuedSoFar) {
  if constexpr (built_with_cuda) {
    const Stream stream(gpu(0), "stream");
    const Stream foreign(gpu(0), "foreign");
    std::atomic<bool> is_done = false;
    stream.ref().host("slow", [&is_done] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      is_done = true;
    });
    cuda::call_native<Native>(foreign, [&](CudaStream native) { cuda::order_behind(native, stream); });
    foreign.ref().synchronize();
    EXPECT_TRUE(is_done);
  }
}

}  // namespace
}  // namespace tardigrad
