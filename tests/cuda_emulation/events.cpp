#include "tests/cuda_emulation/capture.h"
#include "tests/cuda_emulation/state.h"

using namespace tardigrad::emulation;

namespace {

/// In a graph an event is no node: it stands for the nodes that what waits for it is to come after.
void record_in(Capture& capture, StreamState& stream, Event& event, std::shared_ptr<Capture> shared) {
  const std::lock_guard capture_lock(capture.mutex);
  require(!capture.invalid, cudaErrorStreamCaptureInvalidated);
  const std::lock_guard lock(event.mutex);
  event.latest = nullptr;
  event.capture = std::move(shared);
  event.tails = capture.tails_of(stream);
}

void join(StreamState& stream, const std::shared_ptr<Capture>& capture,
          const std::vector<std::size_t>& tails) {
  const auto own = stream.active_capture();
  if (own && own != capture) {
    own->invalidate();
    capture->invalidate();
    throw Failure{cudaErrorStreamCaptureMerge};
  }
  const std::lock_guard capture_lock(capture->mutex);
  require(!capture->ended, cudaErrorCapturedEvent);
  require(!capture->invalid, cudaErrorStreamCaptureInvalidated);
  auto& own_tails = capture->tails_of(stream);
  own_tails.insert(own_tails.end(), tails.begin(), tails.end());
  const std::lock_guard lock(stream.mutex);
  stream.capture = capture;
}

/// The latest record of an event in use, for those who look at it from the host.
std::shared_ptr<Completion> recorded(Event& event) {
  event.device.check();
  std::unique_lock lock(event.mutex);
  if (const auto capture = event.capture) {
    lock.unlock();
    capture->invalidate();
    throw Failure{cudaErrorCapturedEvent};
  }
  return event.latest;
}

}  // namespace

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* created, unsigned flags) {
  return api([&] {
    require(created != nullptr && (flags & ~unsigned{cudaEventBlockingSync | cudaEventDisableTiming}) == 0,
            cudaErrorInvalidValue);
    current_device().check();
    *created =
        reinterpret_cast<cudaEvent_t>(Event::make(current_device(), (flags & cudaEventDisableTiming) == 0));
  });
}
cudaError_t cudaEventCreate(cudaEvent_t* created) {
  return cudaEventCreateWithFlags(created, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return api([&] {
    Event& event = object_of<Event>(handle);
    event.destroy();
    const std::lock_guard lock(event.mutex);
    event.latest = nullptr;
    event.capture = nullptr;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t on) {
  return api([&] {
    Event& event = object_of<Event>(handle);
    StreamState& stream = stream_of(on);
    require(&event.device == &stream.device, cudaErrorInvalidResourceHandle);
    stream.device.check();
    if (auto capture = stream.active_capture()) return record_in(*capture, stream, event, capture);
    const auto point = std::make_shared<Completion>();
    const std::lock_guard lock(
        event.mutex);  // also held while pushing: the latest record is the latest in the stream
    event.latest = point;
    event.capture = nullptr;
    stream.push({Kind::order, &stream.device, [point] { point->reach(); }});
  });
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  if (flags != cudaEventRecordDefault) return remember(cudaErrorNotSupported);
  return cudaEventRecord(event, stream);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t waiting, cudaEvent_t handle, unsigned flags) {
  return api([&] {
    require(flags == cudaEventWaitDefault, cudaErrorNotSupported);
    Event& event = object_of<Event>(handle);
    StreamState& stream = stream_of(waiting);
    stream.device.check();
    std::unique_lock lock(event.mutex);
    const auto point = event.latest;
    const auto capture = event.capture;
    const auto tails = event.tails;
    lock.unlock();
    if (capture) return join(stream, capture, tails);
    if (!point) return;  // never recorded
    if (const auto own = stream.active_capture()) {
      own->invalidate();
      throw Failure{cudaErrorStreamCaptureIsolation};
    }
    stream.push({Kind::order, &stream.device, [point] { point->wait(); }});
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return api([&] {
    Event& event = object_of<Event>(handle);
    const auto point = recorded(event);
    require_no_unsafe_capture();
    require(!point || point->reached(), cudaErrorNotReady);
    event.device.check();
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return api([&] {
    Event& event = object_of<Event>(handle);
    const auto point = recorded(event);
    require_no_unsafe_capture();
    if (point) point->wait();
    event.device.check();
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  return api([&] {
    Event& start = object_of<Event>(from);
    Event& end = object_of<Event>(to);
    require(start.timed && end.timed && &start.device == &end.device, cudaErrorInvalidResourceHandle);
    const auto first = recorded(start);
    const auto last = recorded(end);
    require(first && last, cudaErrorInvalidResourceHandle);
    require(first->reached() && last->reached(), cudaErrorNotReady);
    *milliseconds = std::chrono::duration<float, std::milli>(last->time() - first->time()).count();
  });
}
