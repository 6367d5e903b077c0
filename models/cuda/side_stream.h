#pragma once

#include <cstddef>

#include "models/cuda/layers/handles.h"
#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"

namespace tardigrad::models::cuda {

/// Is a stream beside another one, the main stream, for work that may run at the same time, with scratch of
/// its own. What is forked off and joined again while the main stream is captured becomes a branch of the
/// graph. Functions throw DeviceError; all but the constructor are called with the device current.
class SideStream {
 public:
  /// Makes one on the device of `stream`, which allocates the scratch.
  SideStream(const StreamRef& stream, std::size_t workspace_bytes);

  /// Returns an execution on this stream for work that begins once what the main stream has so far is done.
  Execution after(const Execution& main);

  /// Lets the main stream wait for what was enqueued here since the last time, if anything was. It follows
  /// after() before a capture of the main stream ends.
  void join(const Execution& main);

  /// Waits for it instead, where the main stream will not: the memory that it works on may then be freed.
  /// Nothing is thrown.
  void abandon();

 private:
  using Native = Owned<cudaStream_t, cudaStreamDestroy>;
  using Event = Owned<cudaEvent_t, cudaEventDestroy>;

  /// Lets one stream wait for what another has so far.
  void wait(CudaStream waiting, const Event& event, CudaStream other) const;

  Device device_;
  Buffer<std::byte> workspace_;
  Native stream_;
  Event forked_;
  Event joined_;
  bool is_apart_ = false;
};

}  // namespace tardigrad::models::cuda
