#include "tests/cuda_emulation/in_order_thread.h"

#include <memory>
#include <thread>
#include <utility>

namespace tardigrad::emulation {

InOrderThread::InOrderThread() : newest_(new Node), done_(newest_.load()) {
  std::thread([this] { loop(); }).detach();  // it may outlive main(), as a driver's threads do
}

void InOrderThread::push(std::function<void()> work) {
  auto* node = new Node;
  node->work = std::move(work);
  Node* previous = newest_.exchange(node, std::memory_order_acq_rel);
  previous->next.store(node, std::memory_order_release);
  pushed_.fetch_add(1);
  pushed_.notify_one();
}

bool InOrderThread::idle() const {
  const std::uint32_t pushed = pushed_.load(std::memory_order_relaxed);
  // Relaxed first: a "no" is to synchronise with nothing.
  return finished_.load(std::memory_order_relaxed) == pushed &&
         finished_.load(std::memory_order_acquire) == pushed;
}

void InOrderThread::drain() const {
  const std::uint32_t pushed = pushed_.load(std::memory_order_relaxed);
  std::uint32_t finished = finished_.load(std::memory_order_acquire);
  while (static_cast<std::int32_t>(pushed - finished) > 0) {
    finished_.wait(finished, std::memory_order_acquire);
    finished = finished_.load(std::memory_order_acquire);
  }
}

void InOrderThread::stop() {
  push([this] { stopped_ = true; });
}

/// The node after done_, which some thread has counted already but perhaps not yet linked.
InOrderThread::Node* InOrderThread::next_node() {
  for (;;) {
    if (Node* next = done_->next.load(std::memory_order_acquire)) return next;
    std::this_thread::yield();
  }
}

void InOrderThread::loop() {
  for (std::uint32_t taken = 0; !stopped_; ++taken) {
    pushed_.wait(taken, std::memory_order_acquire);
    Node* node = next_node();
    delete std::exchange(done_, node);
    std::exchange(node->work, nullptr)();  // and releases what it holds
    finished_.fetch_add(1);
    finished_.notify_all();
  }
}

}  // namespace tardigrad::emulation
