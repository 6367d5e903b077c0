#include "runtime/telemetry/buffered_observer.h"

#include <exception>
#include <utility>

namespace tardigrad {

BufferedObserver::BufferedObserver(std::vector<RunObserver*> observers) : observers_(std::move(observers)) {
  waiting_.reserve(batch);
}

/// A run that failed is told up to there.
BufferedObserver::~BufferedObserver() {
  try {
    tell();
  } catch (const std::exception&) {  // why the run failed says more
  }
}

void BufferedObserver::on_evaluation(const EvaluationRecord& record) {
  tell();
  observers_.on_evaluation(record);
}

void BufferedObserver::on_warning(const Warning& warning) {
  tell();
  observers_.on_warning(warning);
}

void BufferedObserver::on_worker_change(const WorkerChange& change) {
  tell();
  observers_.on_worker_change(change);
}

void BufferedObserver::on_checkpoint(const CheckpointRecord& record) {
  tell();
  observers_.on_checkpoint(record);
}

void BufferedObserver::on_checkpoint_saved(const SavedCheckpoint& saved) {
  tell();
  observers_.on_checkpoint_saved(saved);
}

void BufferedObserver::on_summary(const RunSummary& summary) {
  tell();
  observers_.on_summary(summary);
}

void BufferedObserver::on_resume(const ResumeRecord& record) { observers_.on_resume(record); }

void BufferedObserver::visit_state(StateArchive& state) {
  tell();
  observers_.visit_state(state);
}

void BufferedObserver::add(const Record& record) {
  if (observers_.each().empty()) return;
  waiting_.push_back(record);
  if (waiting_.size() >= batch || SteadyClock::now() - told_at_ >= longest) tell();
}

void BufferedObserver::tell() {
  std::vector<Record> records;
  records.swap(waiting_);  // told once, even if an observer throws
  for (RunObserver* const observer : observers_.each()) {
    for (const Record& record : records) tell(*observer, record);
  }
  records.clear();
  waiting_.swap(records);
  told_at_ = SteadyClock::now();
}

void BufferedObserver::tell(RunObserver& observer, const Record& record) {
  if (const auto* gradient = std::get_if<GradientRecord>(&record)) {
    observer.on_gradient(*gradient);
  } else if (const auto* update = std::get_if<UpdateRecord>(&record)) {
    observer.on_update(*update);
  } else {
    observer.on_discard(std::get<JobRecord>(record));
  }
}

}  // namespace tardigrad
