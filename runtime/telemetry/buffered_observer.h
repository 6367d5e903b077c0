#pragma once

#include <chrono>
#include <cstddef>
#include <variant>
#include <vector>

#include "runtime/telemetry/observers.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Tells other observers in batches what it is told one by one: between two arrivals their code and data
/// would leave the caches, and bringing those back takes several times as long as their work. Nothing waits
/// longer than to the end of its batch or, from then on, the next record; where records are rare none waits.
/// It does not pass on on_arrival and on_discarded_over.
class BufferedObserver final : public RunObserver {
 public:
  static constexpr std::size_t batch = 64;
  static constexpr std::chrono::milliseconds longest{50};  ///< of a batch

  /// Takes the observers that it tells, which outlive it.
  explicit BufferedObserver(std::vector<RunObserver*> observers);
  ~BufferedObserver() override;

  void on_gradient(const GradientRecord& record) override { add(record); }
  void on_update(const UpdateRecord& record) override { add(record); }
  void on_discard(const JobRecord& record) override { add(record); }
  void on_evaluation(const EvaluationRecord& record) override;
  void on_warning(const Warning& warning) override;
  void on_worker_change(const WorkerChange& change) override;
  void on_checkpoint(const CheckpointRecord& record) override;
  void on_checkpoint_saved(const SavedCheckpoint& saved) override;
  void on_summary(const RunSummary& summary) override;
  void on_resume(const ResumeRecord& record) override;
  std::string state_name() const override { return "batched"; }
  void visit_state(StateArchive& state) override;

 private:
  using Record = std::variant<GradientRecord, UpdateRecord, JobRecord>;
  using SteadyClock = std::chrono::steady_clock;

  void add(const Record& record);
  void tell();
  static void tell(RunObserver& observer, const Record& record);

  Observers observers_;
  std::vector<Record> waiting_;
  SteadyClock::time_point told_at_;
};

}  // namespace tardigrad
