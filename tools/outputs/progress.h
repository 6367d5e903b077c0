#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// What a person sees of a run: on a terminal one live line on stderr, elsewhere a plain line with its time
/// every few seconds, and a line at every evaluation, warning, and loss or return of a worker; at the end a
/// table of the workers and the result. Goes on where nobody reads it any more.
class Progress final : public RunObserver {
 public:
  /// `time_unit`: what the run's own clock counts, "s" or "units". `result`: where the table and the result
  /// go, stdout or, where that has other things to carry, stderr; null where somebody else shows them.
  /// `quiet`: nothing else on stderr but warnings and workers that are lost or back.
  Progress(const char* time_unit, std::FILE* result, bool quiet);
  ~Progress() override;

  void on_update(const UpdateRecord& record) override;
  void on_evaluation(const EvaluationRecord& record) override;
  void on_warning(const Warning& warning) override;
  void on_worker_change(const WorkerChange& change) override;
  void on_checkpoint_saved(const SavedCheckpoint& saved) override;
  void on_summary(const RunSummary& summary) override;
  void on_resume(const ResumeRecord& record) override;
  std::string state_name() const override { return "progress"; }
  void visit_state(StateArchive& state) override;

 private:
  using SteadyClock = std::chrono::steady_clock;
  void show(double time, SteadyClock::time_point now);
  void clear_line();

  const char* time_unit_;
  std::FILE* result_;
  bool quiet_;
  bool terminal_;
  bool live_line_ = false;  // a line stands on the terminal without its end
  SteadyClock::time_point next_show_;
  SteadyClock::time_point shown_at_;
  std::uint64_t update_ = 0;
  std::uint64_t gradients_ = 0;
  std::uint64_t gradients_shown_ = 0;
  std::uint64_t staleness_max_ = 0;
  std::optional<double> loss_;  // moving average over minibatches
  std::optional<double> accuracy_;
};

}  // namespace tardigrad
