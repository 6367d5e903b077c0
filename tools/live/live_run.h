#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "runtime/telemetry/telemetry.h"
#include "tools/live/live_page.h"
#include "tools/live/run_metrics.h"
#include "tools/report/run_picture.h"

namespace tardigrad {

/// Shows a run on a live page, and tells programs how it does: `/metrics` for Prometheus, `/health` for
/// whatever starts it again. The coordinator waits for the server no longer than a copy of the picture or of
/// the values takes, which is bounded; JSON and text are made of the copy.
class LiveRun final : public RunObserver {
 public:
  /// Begins to serve. `run_json` is the record that a log begins with; `checkpoints` is the run's folder of
  /// them, empty where there is none. Throws std::invalid_argument where the page, the address or the port
  /// cannot be had.
  LiveRun(const std::string& run_json, const LiveOptions& options, std::filesystem::path checkpoints = {});

  std::string url() const { return page_.url(); }
  int port() const { return page_.port(); }

  void on_gradient(const GradientRecord& record) override;
  void on_update(const UpdateRecord& record) override;
  void on_discard(const JobRecord& record) override;
  void on_evaluation(const EvaluationRecord& record) override;
  void on_warning(const Warning& warning) override;
  void on_worker_change(const WorkerChange& change) override;
  void on_summary(const RunSummary& summary) override;

 private:
  LiveContent content();
  std::string data(bool live);
  RunValues values();
  template <typename Record>
  void tell(void (RunObserver::*what)(const Record&), const Record& record);

  std::string run_json_;
  std::filesystem::path checkpoints_;
  std::mutex mutex_;
  RunPicture picture_;  // under the mutex
  RunMetrics metrics_;  // likewise
  RunPicture copy_;     // the server's; stays, so that copying needs no new memory
  LivePage page_;       // goes first: its threads use the others
};

}  // namespace tardigrad
