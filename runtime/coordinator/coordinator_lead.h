#pragma once

#include <cstddef>

#include "runtime/coordinator/coordinator.h"

namespace tardigrad {

/// Lets the executor go ahead of the coordinator, where it can (Executor::allow_arrivals), up to where the
/// model is looked at next, and catches up with it there.
class Coordinator::Lead {
 public:
  explicit Lead(Coordinator& run);

  /// Lets it go on, unless time is over: it stops where an evaluation or the end is due, if not by time.
  void allow();

  /// Has it stop, and handles what has arrived until then.
  void catch_up();

 private:
  Coordinator& run_;
  std::size_t most_examples_ = 0;  // of one job
};

}  // namespace tardigrad
