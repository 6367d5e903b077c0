#pragma once

#include <chrono>
#include <string>

namespace tardigrad {

/// Sets the pauses between tries where something does not work (exponential backoff): each is twice as long
/// as the one before.
struct RetryBackoff {
  std::chrono::milliseconds first{100};
  std::chrono::milliseconds longest{60'000};
};

/// Tells of trouble with what a run writes, which the run outlives: once on stderr, in a line, when it
/// begins, and once when it is over. Pauses are not made shorter again, so that trouble that comes and goes
/// is not told more often than they allow.
class Trouble {
 public:
  /// Takes `what` the trouble is with, as lines begin with it: "--log run.jsonl".
  explicit Trouble(std::string what, RetryBackoff patience = {});

  /// Tells whether it is too early to try again.
  bool rests() const { return there_ && Clock::now() < next_try_; }

  /// Notes that a try failed. `why` is as "cannot be written: No space left on device".
  void found(const std::string& why);

  /// Notes that a try succeeded. `outcome` ("is written again") is said if the try before failed.
  void over(const std::string& outcome);

  /// Says a line with `what` before it.
  void tell(const std::string& text) const;

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  std::chrono::milliseconds pause_;
  std::chrono::milliseconds longest_;
  bool there_ = false;
  Clock::time_point next_try_;
};

}  // namespace tardigrad
