#include "runtime/coordinator/record_queue.h"

#include <fmt/format.h>

#include <cmath>

#include "runtime/coordinator/run_errors.h"

namespace tardigrad {

void RecordQueue::add(const GradientRecord& gradient, const std::optional<UpdateRecord>& update) {
  Waiting& arrival = waiting_.push_new();
  arrival.gradient = gradient;
  arrival.update = update;
  arrival.discards = discards_.size() - queued_discards_;
  queued_discards_ = discards_.size();
}

void RecordQueue::settle_oldest() {
  Waiting& oldest = waiting_.front();
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
  if (oldest.update) oldest.update->loss = loss;
  queued_discards_ -= oldest.discards;
  take_discards(oldest.discards);
  // One after another hears all of it: who warns the others of a gradient does so behind what they heard of
  // it.
  for (RunObserver* const observer : observers_.each()) {
    observer->on_gradient(oldest.gradient);
    if (oldest.update) observer->on_update(*oldest.update);
    for (const JobRecord& discarded : told_discards_) observer->on_discard(discarded);
  }
  waiting_.drop();
}

void RecordQueue::take_discards(std::size_t count) {
  told_discards_.clear();
  for (std::size_t i = 0; i < count; ++i) told_discards_.push_back(discards_.pop());
}

void RecordQueue::tell_without_gradient(std::optional<UpdateRecord> update) {
  take_discards(discards_.size());
  for (const JobRecord& discarded : told_discards_) observers_.on_discard(discarded);
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
  state.number("loss_count", loss_count_, std::uint64_t{0}, StateArchive::any);
  auto latest_loss = static_cast<double>(latest_loss_);
  state.real("latest_loss", latest_loss);
  latest_loss_ = static_cast<float>(latest_loss);
}

}  // namespace tardigrad
