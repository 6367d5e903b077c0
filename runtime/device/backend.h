#pragma once

#include <memory>
#include <span>
#include <string>

#include "runtime/device/collectives.h"
#include "runtime/device/event.h"
#include "runtime/device/stream.h"

/// Declares what a backend implements, and the functions that choose one. Only runtime/ includes this file.
namespace tardigrad::detail {

/// Is one event of a backend; Event documents the contract.
class EventImpl {
 public:
  EventImpl(Device device, bool timed) : device_(device), timed_(timed) {}
  EventImpl(const EventImpl&) = delete;
  EventImpl& operator=(const EventImpl&) = delete;
  virtual ~EventImpl() = default;

  Device device() const { return device_; }
  bool timed() const { return timed_; }

  virtual bool complete() const = 0;
  virtual void synchronize() const = 0;
  /// Takes the point of another event of the same device and backend. Neither is timed.
  virtual void take_point(const EventImpl& other) = 0;
  /// Returns the seconds from `start` to this event. Both are timed, complete, and of one device and backend.
  virtual double seconds_since(const EventImpl& start) const = 0;

 private:
  Device device_;
  bool timed_;
};

/// Returns the message by which every backend reports a failed operation.
std::string failure_message(const char* operation, const StreamImpl& stream, const char* what);

}  // namespace tardigrad::detail

namespace tardigrad::cpu {
std::shared_ptr<detail::StreamImpl> make_stream(Device device, std::string name);
std::shared_ptr<detail::StreamImpl> make_immediate_stream(Device device, std::string name);
std::unique_ptr<detail::EventImpl> make_event(Device device, bool timed);
void* allocate(Device device, std::size_t bytes);
void deallocate(void* memory) noexcept;
DeviceDescription describe(Device device);
std::size_t free_memory();
}  // namespace tardigrad::cpu

namespace tardigrad::cuda {
std::shared_ptr<detail::StreamImpl> make_stream(Device device, std::string name, Priority priority);
std::unique_ptr<detail::EventImpl> make_event(Device device, bool timed);
void* allocate_pinned(Device device, std::size_t bytes);
void deallocate_pinned(void* memory) noexcept;
int device_count();
std::string why_no_device();
std::string library_versions();
DeviceDescription describe(Device device);
bool peer_access(Device from, Device to);
std::string bus_address(Device device);
std::unique_ptr<Collectives> make_collectives(std::span<const StreamRef> streams);
CollectivesId make_collectives_id(Device device);
std::unique_ptr<Collectives> join_collectives(StreamRef stream, const CollectivesId& id, int rank, int ranks);
std::size_t free_memory(Device device);
}  // namespace tardigrad::cuda
