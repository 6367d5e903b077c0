#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/base/fifo.h"
#include "runtime/base/state_archive.h"
#include "runtime/execution/executor.h"
#include "runtime/telemetry/observers.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Holds the records of arrivals whose losses are not known yet, and tells observers of them, in their order,
/// when they are. The coordinator runs ahead of the computing by as many arrivals as the executor takes.
class RecordQueue {
 public:
  /// Both outlive it.
  RecordQueue(Executor& executor, Observers& observers) : executor_(executor), observers_(observers) {}

  /// Waits until the executor can take another arrival. Throws NumberNotFinite where a loss is not, and
  /// DeviceError.
  void make_room() {
    while (waiting_.size() >= executor_.capacity()) settle_oldest();
  }

  /// Waits for all losses. Throws likewise.
  void settle() {
    while (!waiting_.empty()) settle_oldest();
  }

  /// A job was thrown away by the event that is being handled.
  void add_discard(const JobRecord& record) { discards_.push(record); }

  /// Queues an arrival, the discards since the one before, and the update that it made, if it did.
  void add(const GradientRecord& gradient, const std::optional<UpdateRecord>& update);

  /// Tells at once of the discards, and of the update, that came of an event without a gradient. All losses
  /// must be known; the update's is that of the latest arrival.
  void tell_without_gradient(std::optional<UpdateRecord> update);

  /// Returns the mean loss since the latest begin_mean(), and nothing if there was no loss.
  std::optional<double> mean_loss() const;
  void begin_mean() {
    loss_sum_ = 0;
    loss_count_ = 0;
  }

  /// Visits what is known of losses so far. Every arrival must have been settled.
  void visit_state(StateArchive& state);

 private:
  struct Waiting {
    GradientRecord gradient;
    std::optional<UpdateRecord> update;
    std::size_t discards = 0;  // since the arrival before: so many of discards_
  };

  void settle_oldest();
  void take_discards(std::size_t count);

  Executor& executor_;
  Observers& observers_;
  Fifo<Waiting> waiting_;
  Fifo<JobRecord> discards_;
  std::vector<JobRecord> told_discards_;  // that observers are being told of
  std::size_t queued_discards_ = 0;       // of them, those that belong to waiting arrivals
  float latest_loss_ = 0;
  double loss_sum_ = 0;
  std::uint64_t loss_count_ = 0;
};

}  // namespace tardigrad
