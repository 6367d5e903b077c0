#include "runtime/coordinator/record_queue.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "runtime/coordinator/run_errors.h"

namespace tardigrad {

void RecordQueue::add(const GradientRecord& gradient, const std::optional<UpdateRecord>& update) {
  waiting_.push({gradient, update, std::exchange(discards_, {})});
}

void RecordQueue::settle_oldest() {
  Waiting oldest = waiting_.pop();
  const float loss = executor_.collect();
  const JobRecord& job = oldest.gradient.job;
  if (!std::isfinite(loss)) {
    throw NumberNotFinite(fmt::format("the loss of job {} of worker {} is {}, at the model of update {}",
                                      job.job, job.worker, loss, job.version),
                          job.version, job.time);
  }
  latest_loss_ = loss;
  loss_sum_ += static_cast<double>(loss);
  ++loss_count_;
  oldest.gradient.loss = loss;
  observers_.on_gradient(oldest.gradient);
  if (oldest.update) {
    oldest.update->loss = loss;
    observers_.on_update(*oldest.update);
  }
  for (const JobRecord& discarded : oldest.discards) observers_.on_discard(discarded);
}

void RecordQueue::tell_without_gradient(std::optional<UpdateRecord> update) {
  for (const JobRecord& discarded : std::exchange(discards_, {})) observers_.on_discard(discarded);
  if (!update) return;
  update->loss = latest_loss_;
  observers_.on_update(*update);
}

std::optional<double> RecordQueue::mean_loss() const {
  if (loss_count_ == 0) return std::nullopt;
  return loss_sum_ / static_cast<double>(loss_count_);
}

void RecordQueue::visit_state(StateArchive& state) {
  state.real("loss_sum", loss_sum_);
  state.number("loss_count", loss_count_, std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max());
  auto latest_loss = static_cast<double>(latest_loss_);
  state.real("latest_loss", latest_loss);
  latest_loss_ = static_cast<float>(latest_loss);
}

}  // namespace tardigrad
