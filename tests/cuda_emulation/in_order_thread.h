#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace tardigrad::emulation {

/// A system thread that does what it is given, in order. Pushing synchronises with the work, and finished
/// work only with those who ask whether it is finished: no lock is shared, for a lock would order host
/// threads after work they have not waited for, and ThreadSanitizer would miss that.
class InOrderThread {
 public:
  InOrderThread();
  InOrderThread(const InOrderThread&) = delete;
  InOrderThread& operator=(const InOrderThread&) = delete;

  /// Any thread may push.
  void push(std::function<void()> work);

  /// Whether everything pushed so far has run.
  bool idle() const;

  /// Waits until it has.
  void drain() const;

  /// Lets the thread end after what has been pushed. The object itself must stay.
  void stop();

 private:
  struct Node {
    std::atomic<Node*> next{nullptr};
    std::function<void()> work;
  };

  void loop();
  Node* next_node();

  std::atomic<Node*> newest_;
  Node* done_;  // the last one taken; of the thread alone
  std::atomic<std::uint32_t> pushed_{0};
  std::atomic<std::uint32_t> finished_{0};
  bool stopped_ = false;  // of the thread alone
};

}  // namespace tardigrad::emulation
