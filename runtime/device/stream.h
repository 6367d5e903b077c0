#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

#include "kernels/operation.h"
#include "runtime/device/buffer.h"
#include "runtime/device/device.h"
#include "runtime/device/event.h"
#include "runtime/device/profiler_range.h"

namespace tardigrad {

namespace detail {

/// Is one stream of a backend. runtime/device/cpu and runtime/device/cuda implement it; StreamRef documents
/// the contract.
class StreamImpl : public std::enable_shared_from_this<StreamImpl> {
 public:
  StreamImpl(Device device, std::string name) : device_(device), name_(std::move(name)) {}
  StreamImpl(const StreamImpl&) = delete;
  StreamImpl& operator=(const StreamImpl&) = delete;
  virtual ~StreamImpl() = default;

  Device device() const { return device_; }
  const std::string& name() const { return name_; }

  /// Tells whether the calling thread does the work itself, at once; host() is then never called.
  virtual bool immediate() const { return false; }

  virtual void leave_out_on(std::stop_token) {}

  using Launch = void (*)(const void* operation, CudaStream stream);
  virtual void host(const char* name, std::function<void()> function) = 0;
  virtual void notify(std::function<void()> function) = 0;
  virtual void launch(const char* name, const void* operation, Launch launch) = 0;
  virtual void copy(void* target, const void* source, std::size_t bytes) = 0;
  virtual void zero(void* target, std::size_t bytes) = 0;
  virtual void record(EventImpl& event) = 0;
  virtual void wait(const EventImpl& event) = 0;
  virtual void check() const = 0;
  virtual void synchronize() = 0;
  virtual void drain() noexcept = 0;
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void deallocate(void* memory, std::size_t bytes) noexcept = 0;

 private:
  Device device_;
  std::string name_;
};

}  // namespace detail

/// Refers to a stream without owning it: this is what functions take.
///
/// Work enqueued on one stream runs in the order of enqueueing. Work on different streams is unordered unless
/// an event says so. Calls that enqueue return at once; arguments they are given by pointer must stay valid
/// until the work has run. There is no default stream. Host threads may share a stream.
///
/// Errors: when enqueued work throws (CPU) or fails (CUDA), the rest of the stream's work is skipped, events
/// recorded behind it still complete, and streams that waited for those fail likewise, so nothing hangs. The
/// first error, with the operation's name, the stream and the device, is thrown as DeviceError by the next
/// call on the stream that may throw: enqueueing, check() or synchronize().
class StreamRef {
 public:
  StreamRef(std::nullptr_t) = delete;
  StreamRef(int) = delete;

  Device device() const { return impl_->device(); }
  const std::string& name() const { return impl_->name(); }

  /// Enqueues an operation (kernels/operation.h) on data of this stream's device.
  template <typename Operation>
  void enqueue(const Operation& operation) const {
    if (device().backend == Backend::cpu) {
      host(Operation::name, [operation] { operation.run(); });
    } else if constexpr (built_with_cuda) {
      impl_->launch(Operation::name, &operation, [](const void* op, CudaStream stream) {
        static_cast<const Operation*>(op)->launch(stream);
      });
    }
  }

  /// Enqueues a host function. On the CPU backend this is how composite work (a whole forward and backward
  /// pass) runs; on CUDA the function runs on a driver thread and must not call CUDA or wait for GPU work.
  template <typename Function>
  void host(const char* name, Function function) const {
    if (impl_->immediate()) {
      run_now(name, function);
    } else {
      impl_->host(name, std::move(function));
    }
  }

  /// Lets the stream leave out work enqueued from here on, until the next call, once a stop is requested: a
  /// CPU stream leaves out what has not begun, CUDA nothing. Events and notifications are never left out.
  void leave_out_on(std::stop_token stop) const { impl_->leave_out_on(std::move(stop)); }

  /// Tells whether work is done by the calling thread before the call that enqueues it returns
  /// (Stream::immediate).
  bool immediate() const { return impl_->immediate(); }

  /// Enqueues a host function that runs when all work before it is over, failed or not (CUDA: only if it did
  /// not fail; ask check()). The function must be short and must not throw.
  void notify(std::function<void()> function) const { impl_->notify(std::move(function)); }

  /// Enqueues target ← source. Both have the same size (std::logic_error otherwise), and either may be on any
  /// device of this stream's backend or in host memory.
  template <typename T>
  void copy(BufferRef<T> target, BufferRef<const std::type_identity_t<T>> source) const {
    require_same_size(target.size(), source.size());
    // NOLINTNEXTLINE(bugprone-sizeof-expression): elements may be pointers
    impl_->copy(target.data(), source.data(), target.size() * sizeof(T));
  }

  /// Enqueues target ← 0, all bytes.
  template <typename T>
  void zero(BufferRef<T> target) const {
    impl_->zero(target.data(), target.size() * sizeof(T));
  }

  /// Sets the event to this point of the stream. Throws std::logic_error if it belongs to another device.
  void record(Event& event) const;

  /// Makes later work of this stream run after the event's point. Throws std::logic_error if the event
  /// belongs to another backend.
  void wait(const Event& event) const;

  /// Throws the stream's first error, if it has one already; does not wait.
  void check() const { impl_->check(); }

  /// Blocks the host thread until all enqueued work is over; throws the stream's first error.
  void synchronize() const { impl_->synchronize(); }

  /// Blocks the host thread until all enqueued work is over, whether it failed or not.
  void drain() const noexcept { impl_->drain(); }

 private:
  friend class Stream;
  friend std::shared_ptr<detail::StreamImpl> detail::share(const StreamRef&);
  explicit StreamRef(detail::StreamImpl* impl) : impl_(impl) {}
  static void require_same_size(std::size_t target, std::size_t source);

  template <typename Function>
  void run_now(const char* name, Function& function) const {
    const ProfilerRange range(name);
    try {
      function();
    } catch (const std::exception& error) {
      raise(name, error.what());
    }
  }
  [[noreturn]] void raise(const char* operation, const char* what) const;

  detail::StreamImpl* impl_;
};

/// Returns how a failure is told: the stream that it struck knows more of it than the call that met it.
std::string told_by(const StreamRef& stream, const DeviceError& error);

enum class Priority { normal, high };

/// Owns a stream. The destructor waits for work in flight, and does not throw what that work threw.
class Stream {
 public:
  /// Opens a stream. `name` is what errors, traces and profilers call it. High priority is a hint, taken by
  /// CUDA. Throws DeviceError if the device is not there.
  Stream(Device device, std::string name, Priority priority = Priority::normal);

  /// Makes a stream of a CPU device without a thread, for many small jobs that one thread orders anyway. The
  /// calling thread does the work before the call that enqueues it returns; what it throws is thrown there,
  /// as DeviceError, and nothing is skipped afterwards. One thread at a time uses it.
  static Stream immediate(Device device, std::string name);
  Stream(Stream&&) noexcept = default;
  Stream& operator=(Stream&&) = delete;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  StreamRef ref() const { return StreamRef(impl_.get()); }
  operator StreamRef() const { return ref(); }

  Device device() const { return impl_->device(); }

 private:
  explicit Stream(std::shared_ptr<detail::StreamImpl> impl) : impl_(std::move(impl)) {}

  std::shared_ptr<detail::StreamImpl> impl_;
};

}  // namespace tardigrad
