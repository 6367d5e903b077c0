#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "kernels/bf16.h"
#include "models/cuda/layers/handles.h"
#include "models/precision.h"
#include "runtime/device/cuda/native_call.h"
#include "runtime/device/stream.h"
#include "tests/models/layer_checks.h"

namespace tardigrad::models::testing {

/// A suite of tests on the first GPU, skipped with the reason where there is none.
template <typename Base>
class OnGpu : public Base {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  }

  static constexpr Device gpu{Backend::cuda, 0};
};

struct TestCall {
  static constexpr const char* name = "test";
};

/// Calls function(native stream) with the device current, then waits.
template <typename Function>
void run_on(const StreamRef& stream, Function function) {
  tardigrad::cuda::call_native<TestCall>(stream, std::move(function));
  stream.synchronize();
}

/// Libraries and scratch on a stream of their own.
class Bench {
 public:
  explicit Bench(Device device)
      : stream_(device, "test"), libraries_(device), workspace_(stream_, std::size_t{64} << 20) {}

  StreamRef stream() const { return stream_; }

  template <typename Function>
  void run(Function function) {
    run_on(stream_, [&](CudaStream native) {
      ASSERT_EQ(cudnnSetStream(libraries_.cudnn.get(), native), CUDNN_STATUS_SUCCESS);
      function(cuda::Execution{native, libraries_.cudnn.get(), libraries_.cublas.get(),
                               workspace_.ref().data(), workspace_.size()});
    });
  }

  std::size_t workspace_bytes() const { return workspace_.size(); }

 private:
  Stream stream_;
  cuda::Libraries libraries_;
  Buffer<std::byte> workspace_;
};

/// Numbers in the memory of a GPU.
template <typename Number>
class OnDevice {
 public:
  OnDevice(const StreamRef& stream, const std::vector<Number>& values)
      : stream_(stream), buffer_(stream, values.size()) {
    stream.copy(buffer_.ref(), host_view(values.data(), values.size()));
    stream.synchronize();
  }

  Number* data() { return buffer_.ref().data(); }

  std::vector<Number> values() const {
    std::vector<Number> values(buffer_.size());
    stream_.copy(host_view(values.data(), values.size()), buffer_.ref());
    stream_.synchronize();
    return values;
  }

 private:
  StreamRef stream_;
  Buffer<Number> buffer_;
};

/// Numbers as a network of that Number holds them.
template <typename Number>
std::vector<Number> to_numbers(const std::vector<double>& values) {
  std::vector<Number> numbers;
  for (const double value : values) numbers.push_back(nearest<Number>(static_cast<float>(value)));
  return numbers;
}

template <typename Number>
std::vector<double> to_doubles(const std::vector<Number>& numbers) {
  std::vector<double> values;
  for (const Number number : numbers) values.push_back(static_cast<double>(widen(number)));
  return values;
}

/// Whole numbers from −3 to 3: exact in every format, like the sums of up to 2^24 / 9 of their products.
inline std::vector<double> small_integers(std::size_t count, std::uint64_t seed) {
  Random random({seed, 1, 2, 3});
  std::vector<double> values(count);
  for (double& value : values) value = static_cast<double>(random.below(7)) - 3;
  return values;
}

/// How far a network's numbers may be off, relative to their norm: rounding of operands and results, times
/// the few operations in a row that see it. fp32 2^-24, where algorithms such as Winograd's lose some digits;
/// tf32 2^-11; bf16 2^-9.
inline double tolerance(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return 2e-5;
    case Precision::tf32:
      return 3e-3;
    case Precision::bf16:
      return 1e-2;
  }
  return 0;
}

}  // namespace tardigrad::models::testing
