#pragma once

#include <gtest/gtest.h>

#include "runtime/device/device.h"

namespace tardigrad::testing {

/// Base of a suite that needs several GPUs. Where there are fewer it is skipped with the reason.
template <int count>
class GpusTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const int present = cuda_device_count();
    if (present == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
    if (present < count) GTEST_SKIP() << "needs " << count << " GPUs, and there are " << present;
  }

  static Device gpu(int index) { return {Backend::cuda, index}; }
};

}  // namespace tardigrad::testing
