#include "tools/live/run_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/base/json_text.h"
#include "tools/live/exposition.h"

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;
using Moment = RunValues::SteadyClock::time_point;

double seconds_between(Moment from, Moment to) {
  return std::max(0.0, std::chrono::duration<double>(to - from).count());
}

/// Those of an option that was not given are empty, which Prometheus takes for not there.
std::string label_of(const Json& run, const char* name) {
  const Json value = run.value(name, Json());
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : json_text(value);
}

void add_run(Exposition& metrics, const std::string& run_json, const RunValues& values) {
  const Json run = parse_own_json<Json>(run_json);
  Exposition::Labels labels;
  for (const char* name : {"version", "method", "model", "dataset", "partition", "clock", "lr", "seed"}) {
    labels.emplace_back(name, label_of(run, name));
  }
  metrics.begin("tardigrad_run_info", "gauge", "What is run, as labels; always 1.");
  metrics.sample(1, labels);
  const bool wall = run.value("clock", Json()) == "wall";
  metrics.add(wall ? "tardigrad_run_time_seconds" : "tardigrad_run_time_units", "gauge",
              "Time of the run's own clock: seconds in wall time, units of --compute-time in virtual time.",
              values.time);
}

void add_progress(Exposition& metrics, const RunValues& values) {
  const auto count = [](std::uint64_t number) { return static_cast<double>(number); };
  metrics.add("tardigrad_updates_total", "counter", "Updates of the model.", count(values.updates));
  metrics.add("tardigrad_gradients_total", "counter", "Gradients that arrived.", count(values.gradients));
  metrics.add("tardigrad_jobs_discarded_total", "counter",
              "Jobs thrown away before their gradient arrived, since this process began.",
              count(values.discarded_jobs));
  metrics.add("tardigrad_evaluations_total", "counter", "Evaluations since this process began.",
              count(values.evaluations));
  if (values.lr) metrics.add("tardigrad_step_size", "gauge", "Step size of the latest update.", *values.lr);
  if (values.minibatch_loss) {
    metrics.add("tardigrad_minibatch_loss", "gauge", "Loss of minibatches at the updates, a moving average.",
                *values.minibatch_loss);
  }
}

void add_evaluation(Exposition& metrics, const RunValues& values) {
  if (!values.evaluation) return;
  const Evaluation& latest = values.evaluation->evaluation;
  metrics.add("tardigrad_loss", "gauge", "Loss of the latest evaluation.", latest.loss);
  const auto add = [&](const char* name, const char* help, const std::optional<double>& value) {
    if (value) metrics.add(name, "gauge", help, *value);
  };
  add("tardigrad_accuracy_ratio", "Accuracy of the latest evaluation, from 0 to 1.", latest.accuracy);
  add("tardigrad_objective", "f(x) of the latest evaluation.", latest.objective);
  add("tardigrad_gradient_norm_squared", "||grad f(x)||^2 of the latest evaluation.",
      latest.gradient_norm_sq);
  metrics.add("tardigrad_evaluated_update", "gauge", "The update that the latest evaluation was at.",
              static_cast<double>(values.evaluation->update));
}

/// The smallest value that so much of all is at or below; of wide buckets their beginning.
double quantile(const Histogram& histogram, double share) {
  const double wanted = share * static_cast<double>(histogram.total());
  double below = 0;
  std::optional<double> found;
  histogram.for_each([&](std::uint64_t first, std::uint64_t count) {
    below += static_cast<double>(count);
    if (!found && below >= wanted) found = static_cast<double>(first);
  });
  return found.value_or(0);
}

void add_staleness(Exposition& metrics, const RunValues& values) {
  metrics.begin("tardigrad_staleness_updates", "summary",
                "Staleness of the gradients since this process began, in updates; 1 is the largest.");
  if (values.staleness.total() > 0) {
    for (const double share : {0.5, 0.9, 0.99}) {
      metrics.sample(quantile(values.staleness, share), {{"quantile", fmt::format("{}", share)}});
    }
    metrics.sample(static_cast<double>(values.staleness.max()), {{"quantile", "1"}});
  }
  metrics.sample(values.staleness_sum, {}, "_sum");
  metrics.sample(static_cast<double>(values.staleness.total()), {}, "_count");
}

void add_workers(Exposition& metrics, const RunValues& values) {
  metrics.add("tardigrad_workers", "gauge", "Workers of the run, lost ones, too.", values.workers);
  metrics.add("tardigrad_workers_lost", "gauge", "Workers that are out of the run now.", values.lost_workers);
  metrics.add("tardigrad_worker_failures_total", "counter",
              "How often a worker was taken out of the run, since this process began.",
              static_cast<double>(values.worker_failures));
  metrics.add("tardigrad_worker_returns_total", "counter",
              "How often a worker was back, since this process began.",
              static_cast<double>(values.worker_returns));
  if (const auto share = values.idle_share()) {
    metrics.add("tardigrad_workers_idle_ratio", "gauge",
                "Share of the workers' time in which they waited, from 0 to 1.", *share);
  }
  if (const auto share = values.discarded_share()) {
    metrics.add("tardigrad_work_discarded_ratio", "gauge",
                "Share of the workers' busy time spent on jobs thrown away, from 0 to 1.", *share);
  }
}

void add_troubles(Exposition& metrics, const RunValues& values, std::optional<double> checkpoint_age_s,
                  Moment now) {
  metrics.begin("tardigrad_warnings_total", "counter", "Warnings since this process began, by kind.");
  for (std::size_t kind = 0; kind < values.warnings.size(); ++kind) {
    metrics.sample(static_cast<double>(values.warnings[kind]),
                   {{"kind", to_string(static_cast<Warning::Kind>(kind))}});
  }
  if (values.staleness.total() > 0) {
    metrics.add("tardigrad_arrival_age_seconds", "gauge", "Time since the latest gradient arrived.",
                seconds_between(values.latest_arrival, now));
  }
  if (checkpoint_age_s) {
    metrics.add("tardigrad_checkpoint_age_seconds", "gauge", "Time since the newest checkpoint was complete.",
                *checkpoint_age_s);
  }
}

const char* state_of(const RunValues& values, Moment now) {
  if (values.summary) return "ended";
  if (values.lost_workers == values.workers) return "no worker left";
  if (now - values.latest_sign > stall_patience(values)) return "stalled";
  return values.staleness.total() == 0 ? "starting" : "running";
}

}  // namespace

std::string metrics_text(const std::string& run_json, const RunValues& values,
                         std::optional<double> checkpoint_age_s, Moment now) {
  Exposition metrics;
  add_run(metrics, run_json, values);
  add_progress(metrics, values);
  add_evaluation(metrics, values);
  add_staleness(metrics, values);
  add_workers(metrics, values);
  add_troubles(metrics, values, checkpoint_age_s, now);
  return metrics.text();
}

RunValues::SteadyClock::duration stall_patience(const RunValues& values) {
  using std::chrono::minutes;
  if (values.staleness.total() == 0) return minutes(10);
  return std::max<RunValues::SteadyClock::duration>(minutes(1), 10 * values.longest_pause);
}

LiveText::Answer health_answer(const RunValues& values, Moment now) {
  const std::string state = state_of(values, now);
  const bool well = state != "stalled" && state != "no worker left";
  const Json health = {
      {"state", state},
      {"update", values.updates},
      {"gradients", values.gradients},
      {"seconds_since_arrival",
       values.staleness.total() == 0 ? Json() : Json(seconds_between(values.latest_arrival, now))},
      {"workers", values.workers},
      {"lost_workers", values.lost_workers}};
  return {.status = well ? 200 : 503, .text = json_text(health) + "\n"};
}

}  // namespace tardigrad
