#include <fmt/format.h>
#include <pthread.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "runtime/base/start_thread.h"
#include "runtime/device/cpu/cpu_event.h"
#include "runtime/device/profiler_range.h"

namespace tardigrad {

void name_this_thread(const char* name) {
  pthread_setname_np(pthread_self(), std::string(name).substr(0, 15).c_str());
}

namespace cpu {
namespace {

/// An in-order queue with a thread of its own.
class CpuStream final : public detail::StreamImpl {
 public:
  CpuStream(Device device, std::string name)
      : StreamImpl(device, std::move(name)),
        thread_(start_thread(fmt::format("the stream '{}' of {}", this->name(), device.name()),
                             [this] { work(); })) {}

  ~CpuStream() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void host(const char* name, std::function<void()> function) override {
    enqueue({name, std::move(function), false}, true);
  }

  void notify(std::function<void()> function) override {
    enqueue({"notify", std::move(function), true}, false);
  }

  void launch(const char*, const void*, Launch) override {
    throw std::logic_error("a CUDA launch on a CPU stream");
  }

  void copy(void* target, const void* source, std::size_t bytes) override {
    if (bytes > 0) host("copy", [target, source, bytes] { std::memcpy(target, source, bytes); });
  }

  void zero(void* target, std::size_t bytes) override {
    if (bytes > 0) host("zero", [target, bytes] { std::memset(target, 0, bytes); });
  }

  void record(detail::EventImpl& event) override {
    auto point = std::make_shared<Point>();
    static_cast<CpuEvent&>(event).set_point(point);
    enqueue({"record", [this, point] { point->reach(failure_); }, true}, false);
  }

  void wait(const detail::EventImpl& event) override {
    const auto point = static_cast<const CpuEvent&>(event).point();
    if (!point || (point->reached() && !point->failure())) return;
    enqueue({"wait",
             [this, point] {
               point->wait();
               if (point->failure()) fail(point->failure());
             },
             false},
            true);
  }

  void leave_out_on(std::stop_token stop) override {
    const std::lock_guard lock(mutex_);
    stop_ = std::move(stop);
  }

  void check() const override {
    const std::lock_guard lock(mutex_);
    if (failure_) failure_->raise();
  }

  void synchronize() override {
    drain();
    check();
  }

  void drain() noexcept override {
    const auto point = std::make_shared<Point>();
    enqueue({"drain", [point] { point->reach(nullptr); }, true}, false);
    point->wait();
  }

  void* allocate(std::size_t bytes) override { return cpu::allocate(device(), bytes); }

  void deallocate(void* memory, std::size_t) noexcept override {
    if (memory) enqueue({"free", [memory] { cpu::deallocate(memory); }, true}, false);
  }

 private:
  struct Task {
    const char* name;
    std::function<void()> function;
    bool even_after_failure;
    std::stop_token stop = {};
  };

  void enqueue(Task task, bool may_throw) {
    {
      const std::lock_guard lock(mutex_);
      if (may_throw && failure_) failure_->raise();
      if (!task.even_after_failure) task.stop = stop_;
      queue_.push_back(std::move(task));
    }
    wake_.notify_one();
  }

  void work() {
    name_this_thread(name().c_str());
    std::deque<Task> batch;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
        if (queue_.empty()) return;
        batch.swap(queue_);
      }
      for (; !batch.empty(); batch.pop_front()) run(batch.front());
    }
  }

  /// On this stream's thread, the only one that sets failure_.
  void run(const Task& task) {
    if ((failure_ || task.stop.stop_requested()) && !task.even_after_failure) return;
    const ProfilerRange range(task.name);
    try {
      task.function();
    } catch (const std::exception& error) {
      fail_with(task.name, error.what());
    } catch (...) {
      fail_with(task.name, "unknown exception");
    }
  }

  void fail_with(const char* operation, const char* what) {
    fail(std::make_shared<const Failure>(device(), detail::failure_message(operation, *this, what)));
  }

  void fail(std::shared_ptr<const Failure> failure) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
  }

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> queue_;
  std::stop_token stop_;  // of the tasks to come
  bool closing_ = false;
  std::shared_ptr<const Failure> failure_;
  std::jthread thread_;  // last: it uses the members above
};

}  // namespace

std::shared_ptr<detail::StreamImpl> make_stream(Device device, std::string name) {
  return std::make_shared<CpuStream>(device, std::move(name));
}

std::unique_ptr<detail::EventImpl> make_event(Device device, bool timed) {
  return std::make_unique<CpuEvent>(device, timed);
}

}  // namespace cpu
}  // namespace tardigrad
