#pragma once

#include <cstddef>
#include <memory>

#include "runtime/device/device.h"

namespace tardigrad {

namespace detail {
class EventImpl;
}

/// Marks a point in the work of one stream, as CUDA's events do.
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

  /// Tells whether the work before the latest record has finished. It never blocks.
  bool complete() const;

  /// Sets this event to the point of another one, which is cheaper than recording many at one point. Later
  /// records of either do not move the other. Throws std::logic_error unless both are of one device and have
  /// no time. No other thread uses this event meanwhile.
  void take_point(const Event& other);

  /// Blocks the host thread until that work has finished. Throws DeviceError if some of it failed.
  void synchronize() const;

 protected:
  Event(Device device, bool timed);
  friend class StreamRef;
  friend double seconds_between(const class TimedEvent&, const class TimedEvent&);

  std::unique_ptr<detail::EventImpl> impl_;
};

/// Is an event that knows when its point was reached, on its device's own clock.
class TimedEvent : public Event {
 public:
  explicit TimedEvent(Device device) : Event(device, true) {}
};

/// Returns the seconds from `start` to `end`. Throws std::logic_error unless both are complete and of one
/// device.
double seconds_between(const TimedEvent& start, const TimedEvent& end);

}  // namespace tardigrad
