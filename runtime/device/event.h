#pragma once

#include <cstddef>
#include <memory>

#include "runtime/device/device.h"

namespace tardigrad {

namespace detail {
class EventImpl;
}

/// A point in the work of one stream.
///
/// `StreamRef::record(event)` sets it to the point after everything enqueued on that stream so far; recording
/// again moves it. `StreamRef::wait(event)` makes later work of another stream run after the point of the
/// latest record *at the time of the call*; a later record does not affect it. An event never recorded counts
/// as complete, as in CUDA.
///
/// An event belongs to a device: it is recorded only on streams of that device (std::logic_error otherwise),
/// and waited for by streams of the same backend. It has no time; TimedEvent has. Host threads may share an
/// event.
class Event {
 public:
  explicit Event(Device device) : Event(device, false) {}
  Event(Event&&) noexcept;
  Event& operator=(Event&&) noexcept;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();

  Device device() const;

  /// Whether the work before the latest record has finished; never blocks.
  bool complete() const;

  /// Blocks the host thread until it has. Throws DeviceError if work before that point failed.
  void synchronize() const;

 protected:
  Event(Device device, bool timed);
  friend class StreamRef;
  friend double seconds_between(const class TimedEvent&, const class TimedEvent&);

  std::unique_ptr<detail::EventImpl> impl_;
};

/// An event that knows when its point was reached, on its device's own clock.
class TimedEvent : public Event {
 public:
  explicit TimedEvent(Device device) : Event(device, true) {}
};

/// The time in seconds from `start` to `end`; both complete, of one device. Throws std::logic_error
/// otherwise.
double seconds_between(const TimedEvent& start, const TimedEvent& end);

}  // namespace tardigrad
