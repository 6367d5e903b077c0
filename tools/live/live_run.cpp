#include "tools/live/live_run.h"

#include "tools/report/page.h"

namespace tardigrad {

LiveRun::LiveRun(const std::string& run_json, int port)
    : picture_(run_json),
      copy_(picture_),
      page_({.data = [this](bool live) { return data(live); }, .page = report_page}, {.port = port}) {}

std::string LiveRun::data(bool live) {
  {
    const std::scoped_lock lock(mutex_);
    copy_ = picture_;
  }
  return page_data({copy_.json()}, live);
}

void LiveRun::on_gradient(const GradientRecord& record) {
  const std::scoped_lock lock(mutex_);
  picture_.on_gradient(record);
}

void LiveRun::on_update(const UpdateRecord& record) {
  const std::scoped_lock lock(mutex_);
  picture_.on_update(record);
}

void LiveRun::on_discard(const JobRecord& record) {
  const std::scoped_lock lock(mutex_);
  picture_.on_discard(record);
}

void LiveRun::on_evaluation(const EvaluationRecord& record) {
  const std::scoped_lock lock(mutex_);
  picture_.on_evaluation(record);
}

void LiveRun::on_warning(const Warning& warning) {
  const std::scoped_lock lock(mutex_);
  picture_.on_warning(warning);
}

void LiveRun::on_worker_change(const WorkerChange& change) {
  const std::scoped_lock lock(mutex_);
  picture_.on_worker_change(change);
}

void LiveRun::on_summary(const RunSummary& summary) {
  const std::scoped_lock lock(mutex_);
  picture_.on_summary(summary);
}

}  // namespace tardigrad
