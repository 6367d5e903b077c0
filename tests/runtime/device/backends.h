#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "runtime/device/device.h"

namespace tardigrad {

inline void PrintTo(Backend backend, std::ostream* out) {
  *out << (backend == Backend::cpu ? "cpu" : "cuda");
}

namespace testing {

/// Base of a suite that is instantiated over every_backend() and named by backend_name(). Tests of a backend
/// that is not there are skipped with the reason.
class BackendTest : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    if (GetParam() == Backend::cuda && cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  }

  static Device device(int index = 0) { return {GetParam(), index}; }
};

inline auto every_backend() { return ::testing::Values(Backend::cpu, Backend::cuda); }

inline std::string backend_name(const ::testing::TestParamInfo<Backend>& tested) {
  return ::testing::PrintToString(tested.param);
}

}  // namespace testing
}  // namespace tardigrad
