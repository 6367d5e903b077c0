#include "models/cuda/side_stream.h"

#include <nvtx3/nvToolsExtCudaRt.h>

#include <utility>

namespace tardigrad::models::cuda {

SideStream::SideStream(const StreamRef& stream, std::size_t workspace_bytes)
    : device_(stream.device()), workspace_(stream, workspace_bytes) {
  const CurrentDevice current(device_);
  TARDIGRAD_CUDA_CHECK(cudaStreamCreateWithFlags(stream_.receive(), cudaStreamNonBlocking), device_);
  nvtxNameCudaStreamA(stream_.get(), "weight gradients");
  for (Event* event : {&forked_, &joined_}) {
    TARDIGRAD_CUDA_CHECK(cudaEventCreateWithFlags(event->receive(), cudaEventDisableTiming), device_);
  }
}

Execution SideStream::after(const Execution& main) {
  wait(stream_.get(), forked_, main.stream);
  is_apart_ = true;
  Execution beside = main;
  beside.stream = stream_.get();
  beside.workspace = workspace_.ref().data();
  beside.workspace_bytes = workspace_.size();
  return beside;
}

void SideStream::join(const Execution& main) {
  if (!std::exchange(is_apart_, false)) return;
  wait(main.stream, joined_, stream_.get());
}

void SideStream::abandon() {
  if (!std::exchange(is_apart_, false)) return;
  // It fails, and ends the capture, where the main stream is captured: nothing runs then.
  static_cast<void>(cudaStreamSynchronize(stream_.get()));
  static_cast<void>(cudaGetLastError());
}

void SideStream::wait(CudaStream waiting, const Event& event, CudaStream other) const {
  TARDIGRAD_CUDA_CHECK(cudaEventRecord(event.get(), other), device_);
  TARDIGRAD_CUDA_CHECK(cudaStreamWaitEvent(waiting, event.get(), 0), device_);
}

}  // namespace tardigrad::models::cuda
