#include "models/cuda/layers/fastest.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace tardigrad::models::cuda {
namespace {

constexpr int series_of_each = 3;
constexpr int runs_in_series = 5;
constexpr float noise_of_times = 0.03F;

/// Times what is enqueued on a stream.
class Stopwatch {
 public:
  Stopwatch(Device device, CudaStream stream) : device_(device), stream_(stream) {
    TARDIGRAD_CUDA_CHECK(cudaEventCreate(begin_.receive()), device_);
    TARDIGRAD_CUDA_CHECK(cudaEventCreate(end_.receive()), device_);
  }

  /// Milliseconds of a series.
  template <typename Run>
  float time(const Run& run) const {
    TARDIGRAD_CUDA_CHECK(cudaEventRecord(begin_.get(), stream_), device_);
    for (int i = 0; i < runs_in_series; ++i) run();
    TARDIGRAD_CUDA_CHECK(cudaEventRecord(end_.get(), stream_), device_);
    TARDIGRAD_CUDA_CHECK(cudaEventSynchronize(end_.get()), device_);
    float ms = 0;
    TARDIGRAD_CUDA_CHECK(cudaEventElapsedTime(&ms, begin_.get(), end_.get()), device_);
    return ms;
  }

 private:
  using Event = Owned<cudaEvent_t, cudaEventDestroy>;

  Device device_;
  CudaStream stream_;
  Event begin_;
  Event end_;
};

struct Candidate {
  std::size_t index = 0;
  float ms = std::numeric_limits<float>::infinity();
};

}  // namespace

std::optional<std::size_t> fastest_of(Device device, CudaStream stream, std::size_t count,
                                      const std::function<bool(std::size_t)>& run) {
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < count; ++i) {
    if (run(i)) candidates.push_back({.index = i});
  }
  if (candidates.empty()) return std::nullopt;
  const Stopwatch stopwatch(device, stream);
  for (int i = 0; i < series_of_each && candidates.size() > 1; ++i) {
    for (Candidate& candidate : candidates) {
      candidate.ms = std::min(candidate.ms, stopwatch.time([&] { run(candidate.index); }));
    }
  }
  const float fastest = std::ranges::min(candidates, {}, &Candidate::ms).ms;
  const auto as_fast = [&](const Candidate& candidate) {
    return candidate.ms <= fastest * (1 + noise_of_times);
  };
  return std::ranges::find_if(candidates, as_fast)->index;
}

}  // namespace tardigrad::models::cuda
