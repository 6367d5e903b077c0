#pragma once

#include <mutex>
#include <string>

#include "runtime/telemetry.h"
#include "tools/live/live_page.h"
#include "tools/report/run_picture.h"

namespace tardigrad {

/// Shows a run on a live page. The coordinator waits for the server no longer than a copy of the picture
/// takes, which is bounded; JSON is made of the copy.
class LiveRun final : public RunObserver {
 public:
  /// `run_json`: the record that a log begins with; `port`: as in LiveOptions. Throws std::invalid_argument
  /// where the page or the port cannot be had.
  LiveRun(const std::string& run_json, int port);

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
  std::string data(bool live);

  std::mutex mutex_;
  RunPicture picture_;  // under the mutex
  RunPicture copy_;     // the server's; stays, so that copying needs no new memory
  LivePage page_;       // goes first: its threads use the others
};

}  // namespace tardigrad
