#pragma once

#include <stop_token>
#include <thread>

namespace tardigrad {

/// Turns Ctrl-C (SIGINT) and SIGTERM into a stop request for as long as it lives; a second one ends the
/// process at once with 130. Make it before any other thread, so that they inherit the blocked signals.
class InterruptWatch {
 public:
  InterruptWatch();

  /// Requested at the first signal.
  std::stop_token token() const { return interrupted_.get_token(); }

 private:
  std::stop_source interrupted_;
  std::jthread watcher_;
};

}  // namespace tardigrad
