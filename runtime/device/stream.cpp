#include "runtime/device/stream.h"

#include <fmt/format.h>

#include <array>
#include <atomic>

#include "runtime/device/backend.h"

namespace tardigrad {
namespace {

constexpr std::size_t max_gpus = 64;

void require_in_build(Device device) {
  if (device.backend == Backend::cuda && !built_with_cuda) {
    throw DeviceError(device, device.name() + " is not in this build: it was configured without CUDA");
  }
}

std::shared_ptr<detail::StreamImpl> make_stream(Device device, std::string name,
                                                [[maybe_unused]] Priority priority) {
  require_in_build(device);
  if constexpr (built_with_cuda) {
    if (device.backend == Backend::cuda) return cuda::make_stream(device, std::move(name), priority);
  }
  return cpu::make_stream(device, std::move(name));
}

std::unique_ptr<detail::EventImpl> make_event(Device device, bool timed) {
  require_in_build(device);
  if constexpr (built_with_cuda) {
    if (device.backend == Backend::cuda) return cuda::make_event(device, timed);
  }
  return cpu::make_event(device, timed);
}

/// The counter of a memory: the host's, or a GPU's.
std::atomic<std::size_t>& allocated_bytes(Device device) noexcept {
  static std::array<std::atomic<std::size_t>, 1 + max_gpus> counters;
  const auto gpu = static_cast<std::size_t>(device.index) % max_gpus;
  return counters[device.backend == Backend::cpu ? 0 : 1 + gpu];
}

}  // namespace

namespace detail {

std::string failure_message(const char* operation, const StreamImpl& stream, const char* what) {
  return fmt::format("\"{}\" failed on stream \"{}\" of {}: {}", operation, stream.name(),
                     stream.device().name(), what);
}

std::shared_ptr<StreamImpl> share(const StreamRef& stream) { return stream.impl_->shared_from_this(); }

void* allocate(StreamImpl& stream, std::size_t bytes) {
  void* memory = stream.allocate(bytes);
  allocated_bytes(stream.device()) += bytes;
  return memory;
}

void deallocate(StreamImpl& stream, void* memory, std::size_t bytes) noexcept {
  stream.deallocate(memory, bytes);
  allocated_bytes(stream.device()) -= bytes;
}

Device device_of(const StreamImpl& stream) { return stream.device(); }

void* allocate_pinned(Device device, std::size_t bytes) {
  require_in_build(device);
  if constexpr (built_with_cuda) {
    if (device.backend == Backend::cuda) return cuda::allocate_pinned(device, bytes);
  }
  return cpu::allocate(device, bytes);
}

void deallocate_pinned(Device device, void* memory) noexcept {
  if constexpr (built_with_cuda) {
    if (device.backend == Backend::cuda) return cuda::deallocate_pinned(memory);
  }
  cpu::deallocate(memory);
}

}  // namespace detail

std::size_t memory_allocated(Device device) { return allocated_bytes(device); }

void StreamRef::require_same_size(std::size_t target, std::size_t source) {
  if (target != source) {
    throw std::logic_error(fmt::format("copy of {} elements into a buffer of {}", source, target));
  }
}

void StreamRef::raise(const char* operation, const char* what) const {
  throw DeviceError(device(), detail::failure_message(operation, *impl_, what));
}

void StreamRef::record(Event& event) const {
  if (event.device() != device()) {
    throw std::logic_error(fmt::format("an event of {} cannot be recorded on stream \"{}\" of {}",
                                       event.device().name(), name(), device().name()));
  }
  impl_->record(*event.impl_);
}

void StreamRef::wait(const Event& event) const {
  if (event.device().backend != device().backend) {
    throw std::logic_error(fmt::format("stream \"{}\" of {} cannot wait for an event of {}", name(),
                                       device().name(), event.device().name()));
  }
  impl_->wait(*event.impl_);
}

Stream Stream::immediate(Device device, std::string name) {
  if (device.backend != Backend::cpu) {
    throw std::logic_error(
        fmt::format("stream \"{}\" of {}: only CPU streams can be immediate", name, device.name()));
  }
  return Stream(cpu::make_immediate_stream(device, std::move(name)));
}

Stream::Stream(Device device, std::string name, Priority priority)
    : impl_(make_stream(device, std::move(name), priority)) {}

Stream::~Stream() {
  if (impl_) impl_->drain();
}

Event::Event(Device device, bool timed) : impl_(make_event(device, timed)) {}
Event::Event(Event&&) noexcept = default;
Event& Event::operator=(Event&&) noexcept = default;
Event::~Event() = default;

Device Event::device() const { return impl_->device(); }
bool Event::complete() const { return impl_->complete(); }
void Event::synchronize() const { impl_->synchronize(); }

void Event::take_point(const Event& other) {
  if (device() != other.device() || impl_->timed() || other.impl_->timed()) {
    throw std::logic_error(fmt::format("an event of {} cannot take the point of one of {}, or have a time",
                                       device().name(), other.device().name()));
  }
  impl_->take_point(*other.impl_);
}

std::string told_by(const StreamRef& stream, const DeviceError& error) {
  try {
    stream.check();
  } catch (const DeviceError& known) {
    return known.what();
  }
  return error.what();
}

double seconds_between(const TimedEvent& start, const TimedEvent& end) {
  if (start.device() != end.device()) {
    throw std::logic_error(
        fmt::format("no time between events of {} and {}", start.device().name(), end.device().name()));
  }
  if (!start.complete() || !end.complete()) {
    throw std::logic_error("no time between events that are not complete yet");
  }
  return end.impl_->seconds_since(*start.impl_);
}

}  // namespace tardigrad
