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
  for (RunObserver* observer : observers_) observer->on_evaluation(record);
}

void BufferedObserver::on_warning(const Warning& warning) {
  tell();
  for (RunObserver* observer : observers_) observer->on_warning(warning);
}

void BufferedObserver::on_worker_change(const WorkerChange& change) {
  tell();
  for (RunObserver* observer : observers_) observer->on_worker_change(change);
}

void BufferedObserver::on_checkpoint(const CheckpointRecord& record) {
  tell();
  for (RunObserver* observer : observers_) observer->on_checkpoint(record);
}

void BufferedObserver::on_checkpoint_saved(const SavedCheckpoint& saved) {
  tell();
  for (RunObserver* observer : observers_) observer->on_checkpoint_saved(saved);
}

void BufferedObserver::on_summary(const RunSummary& summary) {
  tell();
  for (RunObserver* observer : observers_) observer->on_summary(summary);
}

void BufferedObserver::on_resume(const ResumeRecord& record) {
  for (RunObserver* observer : observers_) observer->on_resume(record);
}

void BufferedObserver::visit_state(StateArchive& state) {
  tell();
  visit_states(observers_, state);
}

void BufferedObserver::add(const Record& record) {
  if (observers_.empty()) return;
  waiting_.push_back(record);
  if (waiting_.size() >= batch || SteadyClock::now() - told_at_ >= longest) tell();
}

void BufferedObserver::tell() {
  std::vector<Record> records;
  records.swap(waiting_);  // told once, even if an observer throws
  for (RunObserver* observer : observers_) {
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
