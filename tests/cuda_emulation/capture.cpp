#include "tests/cuda_emulation/capture.h"

#include <algorithm>

#include "tests/cuda_emulation/stream_work.h"

namespace tardigrad::emulation {
namespace {

/// Every capture under way.
struct Captures {
  std::mutex mutex;
  std::vector<std::shared_ptr<Capture>> active;
  std::atomic<int> count{0};  // so that calls outside of captures take no lock
  unsigned long long last_id = 0;
};

Captures& captures() {
  static auto& all = *new Captures;  // threads may outlive main()
  return all;
}

thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

/// CUDA's rule (cudaThreadExchangeStreamCaptureMode): whose captures forbid this thread its unsafe calls.
bool forbids(const Capture& capture) {
  if (thread_mode == cudaStreamCaptureModeRelaxed || capture.mode == cudaStreamCaptureModeRelaxed) {
    return false;
  }
  if (capture.thread == std::this_thread::get_id()) return true;
  return thread_mode == cudaStreamCaptureModeGlobal && capture.mode == cudaStreamCaptureModeGlobal;
}

void forget(const std::shared_ptr<Capture>& capture) {
  const std::lock_guard lock(captures().mutex);
  captures().count -= static_cast<int>(std::erase(captures().active, capture));
}

}  // namespace

std::vector<std::size_t>& Capture::tails_of(StreamState& stream) {
  for (auto& [one, tails] : streams) {
    if (one == &stream) return tails;
  }
  return streams.emplace_back(&stream, std::vector<std::size_t>{}).second;
}

void Capture::invalidate() {
  const std::lock_guard lock(mutex);
  invalid = true;
}

void Capture::add(StreamState& stream, Work work) {
  const std::lock_guard lock(mutex);
  require(!invalid, cudaErrorStreamCaptureInvalidated);
  auto& tails = tails_of(stream);
  nodes.push_back({std::move(work), tails});
  tails = {nodes.size() - 1};
}

/// Whether the origin's last nodes come after all others, of whatever stream.
bool Capture::every_node_joined() {
  std::vector<bool> joined(nodes.size(), false);
  for (const std::size_t tail : tails_of(*origin)) joined[tail] = true;
  for (std::size_t node = nodes.size(); node-- > 0;) {
    if (!joined[node]) return false;
    for (const std::size_t before : nodes[node].after) joined[before] = true;
  }
  return true;
}

std::shared_ptr<Capture> StreamState::active_capture() {
  const std::lock_guard lock(mutex);
  if (capture && capture->ended) capture = nullptr;
  return capture;
}

void require_no_unsafe_capture() {
  if (captures().count.load(std::memory_order_relaxed) == 0) return;
  const std::lock_guard lock(captures().mutex);
  for (const auto& capture : captures().active) {
    if (!forbids(*capture)) continue;
    capture->invalidate();
    throw Failure{cudaErrorStreamCaptureUnsupported};
  }
}

}  // namespace tardigrad::emulation

using namespace tardigrad::emulation;

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return api([&] {
    require(handle != nullptr, cudaErrorStreamCaptureUnsupported);
    StreamState& stream = stream_of(handle);
    stream.device.check();
    require(!stream.active_capture(), cudaErrorIllegalState);
    const auto capture = std::make_shared<Capture>();
    capture->origin = &stream;
    capture->mode = mode;
    capture->thread = std::this_thread::get_id();
    capture->tails_of(stream);
    {
      const std::lock_guard lock(captures().mutex);
      capture->id = ++captures().last_id;
      captures().active.push_back(capture);
      ++captures().count;
    }
    const std::lock_guard lock(stream.mutex);
    stream.capture = capture;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* created) {
  return api([&] {
    StreamState& stream = stream_of(handle);
    const auto capture = stream.active_capture();
    *created = nullptr;
    require(capture != nullptr, cudaErrorIllegalState);
    require(capture->origin == &stream, cudaErrorStreamCaptureUnmatched);
    require(capture->mode == cudaStreamCaptureModeRelaxed || capture->thread == std::this_thread::get_id(),
            cudaErrorStreamCaptureWrongThread);
    forget(capture);
    const std::lock_guard lock(capture->mutex);
    capture->ended = true;
    require(!capture->invalid, cudaErrorStreamCaptureInvalidated);
    require(capture->every_node_joined(), cudaErrorStreamCaptureUnjoined);
    auto* graph = Graph::make();
    graph->nodes = std::move(capture->nodes);
    *created = reinterpret_cast<cudaGraph_t>(graph);
  });
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t** dependencies, const cudaGraphEdgeData** edges,
                                     std::size_t* dependency_count) {
  return api([&] {
    require(graph == nullptr && dependencies == nullptr && edges == nullptr && dependency_count == nullptr,
            cudaErrorNotSupported);
    const auto capture = stream_of(handle).active_capture();
    *status = cudaStreamCaptureStatusNone;
    if (!capture) return;
    const std::lock_guard lock(capture->mutex);
    *status = capture->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
    if (id != nullptr) *id = capture->id;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return cudaStreamGetCaptureInfo(handle, status, nullptr, nullptr, nullptr, nullptr, nullptr);
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return api([&] { std::swap(*mode, thread_mode); });
}
