#pragma once

#include <atomic>
#include <functional>
#include <memory>

namespace tardigrad::testing {

/// Holds enqueued work back until the test lets it go, so that tests need no sleeping. Opens by itself when
/// destroyed, so that a failed assertion leaves nothing hanging.
class Gate {
 public:
  Gate() : open_(std::make_shared<std::atomic<int>>(0)) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() { open(); }

  void open() {
    open_->store(1);
    open_->notify_all();
  }

  /// A host function that blocks until the gate is open.
  std::function<void()> pass() const {
    return [open = open_] { open->wait(0); };
  }

 private:
  std::shared_ptr<std::atomic<int>> open_;
};

}  // namespace tardigrad::testing
