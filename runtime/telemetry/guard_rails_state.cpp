// What checkpoints hold of the guard rails.

#include <algorithm>
#include <limits>
#include <utility>

#include "runtime/base/state_archive.h"
#include "runtime/base/state_column.h"
#include "runtime/telemetry/guard_rails.h"

namespace tardigrad {
namespace {

constexpr int most_warnings = 1 << 30;

/// A member of each, as a list.
template <typename Owners, typename Member, typename Visit>
void visit_members(const Owners& owners, Member member, const Visit& visit) {
  visit_column(
      owners.size(), [&](std::size_t i) -> auto& { return owners[i]->*member; }, visit);
}

/// Whether a text is as the checkpoint has it, when restoring.
bool is_as_before(StateArchive& state, const char* name, const std::string& now) {
  std::string text = now;
  state.text(name, text);
  return text == now;
}

}  // namespace

void SpeedWatch::visit_state(StateArchive& state, std::span<SpeedWatch* const> watches) {
  const std::size_t count = watches.size();
  const auto reals = [&](const char* name, double SpeedWatch::*member) {
    visit_members(watches, member, [&](auto& values) { state.reals(name, values, count); });
  };
  const auto flags = [&](const char* name, bool SpeedWatch::*member) {
    visit_members(watches, member, [&](auto& values) { state.flags(name, values, count); });
  };
  reals("mean", &SpeedWatch::mean_);
  reals("deviation", &SpeedWatch::deviation_);
  visit_members(watches, &SpeedWatch::jobs_, [&](auto& values) {
    state.numbers("jobs", values, count, std::uint32_t{0}, std::numeric_limits<std::uint32_t>::max() / 2);
  });
  visit_members(watches, &SpeedWatch::streak_,
                [&](auto& values) { state.numbers("streak", values, count, 0, jobs_in_a_row); });
  flags("slower", &SpeedWatch::slower_);
  flags("told", &SpeedWatch::told_);
}

void GuardRails::visit_state(StateArchive& state) {
  const bool same_steps = is_as_before(state, "step_origin", run_.step_origin);
  const bool same_speeds = is_as_before(state, "speed_origin", run_.speed_origin);
  auto workers = static_cast<int>(workers_.size());
  state.number("workers", workers, 1, 1 << 20);
  const bool same_workers = std::cmp_equal(workers, workers_.size());
  state.real("smoothness", smoothness_);
  if (run_.smoothness) smoothness_ = run_.smoothness;
  state.number("next_check", next_check_, std::uint64_t{0}, StateArchive::any);
  state.number("staleness_sum", staleness_sum_, std::uint64_t{0}, StateArchive::any);
  state.number("gradients", gradients_, std::uint64_t{0}, StateArchive::any);
  state.real("lr_sum", lr_sum_);
  state.real("lr_delay_sum", lr_delay_sum_);
  state.real("steps", steps_);
  std::vector<int> warnings(warnings_.begin(), warnings_.end());
  state.numbers("warnings", warnings, warnings_.size(), 0, most_warnings);
  std::ranges::copy(warnings, warnings_.begin());
  if (!same_steps || !same_workers) forget_steps();
  if (!same_steps) warnings_[static_cast<std::size_t>(Warning::Kind::step_size)] = 0;
  restored_ = same_workers;
  if (!same_workers) return;
  state.object("of_workers", [&](StateArchive& columns) { visit_workers(columns, same_speeds); });
}

void GuardRails::visit_workers(StateArchive& state, bool speeds) {
  std::vector<Worker*> workers;
  std::vector<SpeedWatch*> watches;
  for (Worker& worker : workers_) {
    workers.push_back(&worker);
    watches.push_back(&worker.speed);
  }
  visit_members(workers, &Worker::version, [&](auto& values) {
    state.numbers("version", values, values.size(), std::uint64_t{0}, StateArchive::any);
  });
  visit_members(workers, &Worker::told_of_age,
                [&](auto& values) { state.flags("told_of_age", values, values.size()); });
  if (speeds) state.object("speed", [&](StateArchive& inner) { SpeedWatch::visit_state(inner, watches); });
}

void GuardRails::forget_steps() {
  for (double* sum : {&lr_sum_, &lr_delay_sum_, &steps_}) *sum = 0;
  staleness_sum_ = 0;
  gradients_ = 0;
}

/// Nothing that is checked here is younger than the checkpoint.
void GuardRails::on_resume(const ResumeRecord& record) {
  const std::uint64_t update = record.checkpoint.update;
  const std::uint64_t soon = update + workers_.size();
  next_check_ = restored_ ? std::min(next_check_, soon) : soon;
  version_sum_ = 0;
  for (Worker& worker : workers_) {
    worker.version = restored_ ? std::min(worker.version, update) : update;
    version_sum_ += worker.version;
  }
  if (!smoothness_) smoothness_ = record.evaluation.smoothness;
}

}  // namespace tardigrad
