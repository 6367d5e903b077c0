#pragma once

#include <atomic>

namespace tardigrad {

/// Lets somebody outside of a run ask it for a checkpoint now. Any thread may ask.
class CheckpointRequest {
 public:
  void ask() { asked_ = true; }
  bool asked() const { return asked_.load(std::memory_order_relaxed); }
  void answer() { asked_ = false; }

 private:
  std::atomic<bool> asked_ = false;
};

}  // namespace tardigrad
