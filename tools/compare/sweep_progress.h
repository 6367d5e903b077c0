#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/coordinator/learning_rate.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Shows a person what many runs do, several of which may go on at once: a line for each that ends, and in
/// between how far they are, how fast, and how long the rest will take, on a terminal in one live line. Any
/// thread may call it.
class SweepProgress {
 public:
  using SteadyClock = std::chrono::steady_clock;

  /// Says where it shows what, and how often. `now` is for tests.
  struct Display {
    std::FILE* out = stderr;
    bool terminal = false;  ///< one live line, which the next replaces
    bool timed = false;     ///< a zoned_time() stands before each line
    bool quiet = false;     ///< only runs that failed are told of
    SteadyClock::duration period = std::chrono::seconds(10);
    SteadyClock::time_point (*now)() = SteadyClock::now;
  };

  /// Makes the display that fits stderr: a live line on a terminal, plain lines elsewhere.
  static Display standard_display(bool quiet = false);

  /// Takes the kind of each run: runs of one kind take about as long as each other.
  SweepProgress(std::vector<std::string> kinds, Display display);
  ~SweepProgress();
  SweepProgress(const SweepProgress&) = delete;
  SweepProgress& operator=(const SweepProgress&) = delete;

  /// Takes note that the run need not be executed.
  void take_over(std::size_t run);

  /// Takes note that the run begins. The observer that is returned is to be told what happens in it, and
  /// lives no longer than this.
  std::unique_ptr<RunObserver> begin(std::size_t run, const RunLimits& limits);

  /// Takes note that the run has ended, and `line` says how. What is printed besides is how many have by now.
  void end(std::size_t run, const std::string& line, bool failed = false);

 private:
  class Meter;
  enum class Phase { waiting, running, over };
  struct Run {
    std::string kind;
    Phase phase = Phase::waiting;
    SteadyClock::time_point began_at;
    std::atomic<double> share = 0;  // of its limit, while it goes on
    std::atomic<std::uint64_t> gradients = 0;
  };

  void tick();
  void show(SteadyClock::time_point now);
  void print(const std::string& line) const;
  void clear_line();
  std::string describe(SteadyClock::time_point now) const;
  std::string describe_running() const;
  std::map<std::string, double> seconds_by_kind(SteadyClock::time_point now) const;
  std::optional<double> seconds_left(SteadyClock::time_point now) const;
  std::uint64_t gradients() const;

  Display display_;
  std::vector<std::unique_ptr<Run>> runs_;
  std::size_t over_ = 0;
  std::size_t most_at_once_ = 0;
  std::map<std::string, std::vector<double>> seconds_of_kind_;  // of runs that are over
  std::mutex mutex_;                                            // of all but `share` and `gradients`
  std::atomic<SteadyClock::duration::rep> next_show_;
  SteadyClock::time_point shown_at_;
  std::uint64_t gradients_shown_ = 0;
  bool live_line_ = false;  // a line stands on the terminal without its end
};

}  // namespace tardigrad
