#include <cstring>

#include "runtime/device/cpu/cpu_event.h"

namespace tardigrad::cpu {
namespace {

/// No queue and no thread: StreamRef runs host functions itself, and the rest is done on the spot.
class ImmediateStream final : public detail::StreamImpl {
 public:
  using StreamImpl::StreamImpl;

  bool immediate() const override { return true; }

  void host(const char*, std::function<void()> function) override { function(); }
  void notify(std::function<void()> function) override { function(); }
  void launch(const char*, const void*, Launch) override {
    throw std::logic_error("a CUDA launch on a CPU stream");
  }
  void copy(void* target, const void* source, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(target, source, bytes);
  }
  void zero(void* target, std::size_t bytes) override {
    if (bytes > 0) std::memset(target, 0, bytes);
  }

  /// The point is reached already, and an event without one counts as complete.
  void record(detail::EventImpl& event) override { static_cast<CpuEvent&>(event).set_point(nullptr); }

  void wait(const detail::EventImpl& event) override { event.synchronize(); }

  void check() const override {}
  void synchronize() override {}
  void drain() noexcept override {}

  void* allocate(std::size_t bytes) override { return cpu::allocate(device(), bytes); }
  void deallocate(void* memory, std::size_t) noexcept override { cpu::deallocate(memory); }
};

}  // namespace

std::shared_ptr<detail::StreamImpl> make_immediate_stream(Device device, std::string name) {
  return std::make_shared<ImmediateStream>(device, std::move(name));
}

}  // namespace tardigrad::cpu
