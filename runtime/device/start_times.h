#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace tardigrad {

/// Keeps what starting took, by part, of a whole process. Threads may share it.
class StartTimes {
 public:
  using Clock = std::chrono::steady_clock;

  /// Returns the process's own, which begins with the process.
  static StartTimes& of_process();

  /// Adds to a part. What comes after the end is left out.
  void add(const char* part, Clock::duration duration);

  /// Ends the start, and returns what it took: "starting took 1.83 s: loading 0.03, data 0.21, …, other
  /// 0.05". Loading is what the system took before main(), to a hundredth of a second. Parts stand in the
  /// order in which they were first over; where threads worked side by side they may add up to more than the
  /// whole, and nothing is left for "other".
  std::string end();

 private:
  std::mutex mutex_;
  bool ended_ = false;
  std::vector<std::pair<const char*, Clock::duration>> parts_;
};

/// Is a part of starting that lasts as long as the object. What a part within it takes is not counted for it.
class StartPart {
 public:
  /// `name` is a literal.
  explicit StartPart(const char* name);
  ~StartPart();
  StartPart(const StartPart&) = delete;
  StartPart& operator=(const StartPart&) = delete;

 private:
  const char* name_;
  StartPart* outer_;
  StartTimes::Clock::time_point begin_ = StartTimes::Clock::now();
  StartTimes::Clock::duration inner_{};
};

}  // namespace tardigrad
