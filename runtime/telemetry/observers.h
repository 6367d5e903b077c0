#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Tells several observers what it is told, each in turn.
class Observers final : public RunObserver {
 public:
  /// They outlive it.
  explicit Observers(std::vector<RunObserver*> observers) : observers_(std::move(observers)) {}

  void on_arrival(const JobRecord& record) override { tell<&RunObserver::on_arrival>(record); }
  void on_discarded_over(int worker, double time) override {
    tell<&RunObserver::on_discarded_over>(worker, time);
  }
  void on_gradient(const GradientRecord& record) override { tell<&RunObserver::on_gradient>(record); }
  void on_update(const UpdateRecord& record) override { tell<&RunObserver::on_update>(record); }
  void on_discard(const JobRecord& record) override { tell<&RunObserver::on_discard>(record); }
  void on_evaluation(const EvaluationRecord& record) override { tell<&RunObserver::on_evaluation>(record); }
  void on_warning(const Warning& warning) override { tell<&RunObserver::on_warning>(warning); }
  void on_worker_change(const WorkerChange& change) override { tell<&RunObserver::on_worker_change>(change); }
  void on_checkpoint(const CheckpointRecord& record) override { tell<&RunObserver::on_checkpoint>(record); }
  void on_checkpoint_saved(const SavedCheckpoint& saved) override {
    tell<&RunObserver::on_checkpoint_saved>(saved);
  }
  void on_summary(const RunSummary& summary) override { tell<&RunObserver::on_summary>(summary); }
  void on_resume(const ResumeRecord& record) override { tell<&RunObserver::on_resume>(record); }

  const std::vector<RunObserver*>& each() const { return observers_; }

  /// Visits the states of all that have one; of those whose state is there where it is restored.
  void visit_state(StateArchive& state) override;

 private:
  template <auto function, typename... Arguments>
  void tell(const Arguments&... arguments) const {
    for (RunObserver* const observer : observers_) (observer->*function)(arguments...);
  }

  std::vector<RunObserver*> observers_;
};

}  // namespace tardigrad
