#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace tardigrad::bench {

/// Throws std::runtime_error naming the call, with CUDA's text.
inline void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(status));
}

struct DestroyStream {
  void operator()(cudaStream_t stream) const { static_cast<void>(cudaStreamDestroy(stream)); }
};
using OwnedStream = std::unique_ptr<CUstream_st, DestroyStream>;

inline OwnedStream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return OwnedStream(stream);
}

/// An event with a time.
class CudaTimer {
 public:
  CudaTimer() {
    cudaEvent_t event = nullptr;
    check(cudaEventCreate(&event), "cudaEventCreate");
    event_.reset(event);
  }

  void record(cudaStream_t stream) const { check(cudaEventRecord(event_.get(), stream), "cudaEventRecord"); }

  /// Blocks until `end` is reached.
  double seconds_until(const CudaTimer& end) const {
    float elapsed_ms = 0;
    check(cudaEventSynchronize(end.event_.get()), "cudaEventSynchronize");
    check(cudaEventElapsedTime(&elapsed_ms, event_.get(), end.event_.get()), "cudaEventElapsedTime");
    return static_cast<double>(elapsed_ms) * 1e-3;
  }

 private:
  struct Destroy {
    void operator()(cudaEvent_t event) const { static_cast<void>(cudaEventDestroy(event)); }
  };
  std::unique_ptr<CUevent_st, Destroy> event_;
};

/// What a function enqueues on a stream, as one graph.
class CudaGraph {
 public:
  template <typename Enqueue>
  CudaGraph(cudaStream_t stream, const Enqueue& enqueue) {
    cudaGraph_t graph = nullptr;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    enqueue();
    check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
    check(status, "cudaGraphInstantiate");
    executable_.reset(executable);
  }

  void launch(cudaStream_t stream) const {
    check(cudaGraphLaunch(executable_.get(), stream), "cudaGraphLaunch");
  }

 private:
  struct Destroy {
    void operator()(cudaGraphExec_t graph) const { static_cast<void>(cudaGraphExecDestroy(graph)); }
  };
  std::unique_ptr<CUgraphExec_st, Destroy> executable_;
};

}  // namespace tardigrad::bench
