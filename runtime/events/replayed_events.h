#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "runtime/events/event_source.h"
#include "runtime/events/recording.h"

namespace tardigrad {

/// Returns arrivals in the order of a recording, at its times.
class ReplayedEvents final : public EventSource {
 public:
  /// Replays `recording`, which outlives it.
  ReplayedEvents(Recording& recording, int workers);

  double now() const override { return now_; }
  void start_job(int worker, std::uint64_t job) override;
  void discard(int worker) override;
  bool lets_discarded_jobs_end() const override { return recording_.wall(); }
  bool knows_ends() const override { return !recording_.wall(); }
  bool expects_changes() const override { return next_.has_value(); }
  std::string reason() const override { return latest_->reason; }
  bool at_end() const override { return !next_.has_value(); }
  std::optional<Event> next(double deadline, const std::stop_token& stop) override;

  /// Throws std::invalid_argument if the arrival returned last was of another job or version.
  void check(std::uint64_t job, std::uint64_t version) const override;

 private:
  enum class State { idle, computing, discarded };

  void check_worker(int worker) const;
  void check_change(int worker, bool lost) const;
  void check_end(int worker) const;

  Recording& recording_;
  double now_ = 0;
  std::vector<State> states_;
  std::vector<bool> lost_;
  std::optional<Recording::Event> next_;
  std::optional<Recording::Event> latest_;
  std::string place_;  // of latest_
};

}  // namespace tardigrad
