#include "runtime/telemetry/guard_rails.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace tardigrad {
namespace {

constexpr double speed_change = 3;
constexpr std::uint32_t jobs_to_learn = 24;
constexpr std::uint64_t late_rounds = 10;
constexpr int most_of_a_kind = 5;
constexpr double most_updates = 1e18;  // that a row may get old: so many no run makes

/// How old a row may be, per worker, before that is worth a word. A row is of the model that its job began
/// with, and stays until the next job has ended: it is as old as all make updates in twice the time of a job;
/// half of that is left for jobs that are no equals.
std::vector<std::uint64_t> oldest_rows(const GuardedRun& run) {
  const auto workers = static_cast<std::size_t>(run.workers);
  std::vector<std::uint64_t> oldest(workers, late_rounds * workers);
  double rate = 0;
  for (const double time : run.job_times) rate += 1 / time;
  for (std::size_t i = 0; i < run.job_times.size(); ++i) {
    const double updates = std::min(most_updates, 1.5 * 2 * run.job_times[i] * rate);
    oldest[i] = std::max(oldest[i], static_cast<std::uint64_t>(updates));
  }
  return oldest;
}

}  // namespace

double largest_stable_step(double smoothness, double delay, double momentum) {
  const double without_delay = 2 * (1 + momentum) / smoothness;
  const double with_delay = 2 * (1 - momentum) * std::sin(std::numbers::pi / (4 * delay + 2)) / smoothness;
  return delay > 0 ? with_delay : without_delay;
}

std::optional<double> SpeedWatch::next(double time) {
  if (told_) return std::nullopt;
  const double difference = std::log(time) - mean_;
  const double noticeable = std::max(std::log(speed_change), 3 * deviation_);
  const bool stands_out = jobs_ >= jobs_to_learn && std::abs(difference) >= noticeable;
  if (!stands_out && streak_ != 0) {
    streak_ = std::max(0, streak_ - 2);
  } else if (!stands_out) {
    ++jobs_;
    mean_ += difference / jobs_;
    if (jobs_ > 1) deviation_ += (std::abs(difference) - deviation_) / (jobs_ - 1);
  } else {
    streak_ = (difference > 0) == slower_ ? streak_ + 1 : 1;
    slower_ = difference > 0;
    told_ = streak_ == jobs_in_a_row;
  }
  return told_ ? std::optional(std::exp(difference)) : std::nullopt;
}

GuardRails::GuardRails(const GuardedRun& run, std::vector<RunObserver*> observers)
    : run_(run),
      observers_(std::move(observers)),
      workers_(static_cast<std::size_t>(run.workers)),
      oldest_rows_(oldest_rows(run)),
      next_check_(workers_.size()),
      smoothness_(run.smoothness) {}

void GuardRails::on_gradient(const GradientRecord& record) {
  Worker& worker = workers_[static_cast<std::size_t>(record.job.worker)];
  if (record.job.version > worker.version) {
    version_sum_ += record.job.version - std::exchange(worker.version, record.job.version);
  }
  staleness_sum_ += record.staleness;
  ++gradients_;
  const double computing = record.job.compute_time - record.hand_over_time;
  if (!(computing > 0)) return;
  if (const auto times = worker.speed.next(computing)) {
    warn(
        {Warning::Kind::speed_change, record.job.version + record.staleness, record.job.time,
         fmt::format("worker {} computes {:.1f} times as {} as it used to (a job takes {:.3g}, since job {})",
                     record.job.worker, *times > 1 ? *times : 1 / *times, *times > 1 ? "slowly" : "fast",
                     computing, record.job.job + 1 - static_cast<std::uint64_t>(SpeedWatch::jobs_in_a_row))});
  }
}

/// Returns the mean age of all rows, or the most that rows which count may have: where some have left the
/// mean, the others are younger.
double GuardRails::delay_of_rows(std::uint64_t update) const {
  const auto n = static_cast<double>(workers_.size());
  const double mean = static_cast<double>(update - 1) - static_cast<double>(version_sum_) / n;
  return run_.most_row_age ? std::min(mean, static_cast<double>(*run_.most_row_age)) : mean;
}

void GuardRails::on_update(const UpdateRecord& record) {
  const double delay =
      run_.table ? delay_of_rows(record.update)
                 : static_cast<double>(staleness_sum_) / std::max(1.0, static_cast<double>(gradients_));
  staleness_sum_ = 0;
  gradients_ = 0;
  lr_sum_ += record.lr;
  lr_delay_sum_ += record.lr * delay;
  ++steps_;
  if (record.update < next_check_) return;
  next_check_ = record.update + workers_.size();
  check_step_size(record.update, record.time);
  if (run_.table) check_rows(record.update, record.time);
}

void GuardRails::on_evaluation(const EvaluationRecord& record) {
  if (run_.smoothness || !record.smoothness) return;
  smoothness_ = record.smoothness;
}

/// Delays are weighted by the steps they were met at, for methods that take shorter steps along stale
/// gradients.
void GuardRails::check_step_size(std::uint64_t update, double time) {
  const double lr = lr_sum_ / steps_;
  const double delay = lr_sum_ > 0 ? std::max(0.0, lr_delay_sum_ / lr_sum_) : 0;
  if (steps_ >= 2.0 * late_rounds * static_cast<double>(workers_.size())) {
    for (double* sum : {&lr_sum_, &lr_delay_sum_, &steps_}) *sum /= 2;  // forgets what was long ago
  }
  if (!smoothness_ || run_.clipped) return;
  const double stable = largest_stable_step(*smoothness_, delay, run_.momentum) / run_.local_steps;
  if (lr <= stable * (run_.smoothness ? 1 : run_.tolerance)) return;
  const char* source = run_.smoothness ? "--smoothness" : "estimated from gradient differences";
  warn({Warning::Kind::step_size, update, time,
        fmt::format(
            "lr {:.3g} may be too large: with a delay of {:.1f} updates (mean) and smoothness {:.3g} ({}) "
            "it is {:.1f} times the {:.2g} above which a quadratic diverges",
            lr, delay, *smoothness_, source, lr / stable, stable)});
}

void GuardRails::check_rows(std::uint64_t update, double time) {
  const std::uint64_t late = late_rounds * workers_.size();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const std::uint64_t age = update - workers_[i].version;
    if (run_.most_row_age && age > *run_.most_row_age) continue;
    if (age <= oldest_rows_[i] || std::exchange(workers_[i].told_of_age, true)) continue;
    const std::string expected =
        oldest_rows_[i] == late
            ? fmt::format("{} rounds of {}", late_rounds, workers_.size())
            : fmt::format("the {} that --compute-time and --throttle explain", oldest_rows_[i]);
    warn({Warning::Kind::old_row, update, time,
          fmt::format(
              "the row of worker {} in the table is {} updates old, more than {}: it is slow, or lost; "
              "a smaller --lr keeps old rows harmless",
              i, age, expected)});
  }
}

void GuardRails::warn(Warning warning) {
  const int most = warning.kind == Warning::Kind::step_size ? 1 : most_of_a_kind;
  const int count = ++warnings_[static_cast<std::size_t>(warning.kind)];
  if (count > most) return;
  if (most > 1 && count == most) warning.text += "; others like it will not be told";
  for (RunObserver* observer : observers_) observer->on_warning(warning);
}

}  // namespace tardigrad
