#include "tools/train/guarded_run.h"

#include <unistd.h>

#include <array>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/base/json_text.h"
#include "runtime/coordinator/learning_rate.h"
#include "tools/options/option_table.h"

namespace tardigrad {
namespace {

/// How many times as long as on a quadratic of the first model's smoothness steps may be. Perceptrons leave
/// places that are too curved for their steps (Lewkowycz et al. 2020, from memory, of ReLUs: up to 6 times),
/// and convolutions begin in flatter ones than they come to. Where harm began in the runs of
/// tools/bench/step_size_guard.py.
double tolerance_of(const TrainOptions& options) {
  if (is_quadratic(options) || options.model == "logistic") return 1;
  return options.model.starts_with("mlp") ? 4.5 : 1.25;
}

/// Those of the options, as a text that is another one where they are.
std::string values_of(const TrainOptions& options, std::initializer_list<const char*> names) {
  nlohmann::ordered_json values;
  for (const char* name : names) values[name] = row_of(name).value(options);
  return json_text(values);
}

std::string step_origin(const TrainOptions& options) {
  std::string steps = values_of(options, {"lr", "lr_schedule", "optimizer", "momentum", "local_steps",
                                          "local_lr", "clip_norm", "smoothness"});
  if (!LearningRate(options.lr, options.lr_schedule).follows_progress()) return steps;
  return steps + values_of(options, {"updates", "epochs", "time_limit"});
}

/// In wall time also where jobs are computed, and how.
std::string speed_origin(const TrainOptions& options) {
  std::string script = values_of(options, {"clock", "compute_time", "throttle", "events"});
  if (options.clock == ClockKind::virtual_time) return script;
  std::array<char, 256> host{};
  static_cast<void>(gethostname(host.data(), host.size() - 1));
  return script + host.data() +
         values_of(options, {"time_unit", "device", "server_device", "server_shards", "gradient_route",
                             "precision", "deterministic", "cuda_graphs", "completions", "hand_over"});
}

/// GuardedRun::job_times.
std::vector<double> job_times(const RunSetup& setup) {
  std::vector<double> times = setup.delays.base();
  if (times.empty() && setup.delays.measured() && setup.speeds.any()) {
    times.assign(static_cast<std::size_t>(setup.objective->workers()), 1.0);
  }
  for (std::size_t i = 0; i < times.size(); ++i) times[i] *= setup.speeds.slowdown(static_cast<int>(i), 0);
  return times;
}

/// Returns GuardedRun::most_row_age of the run.
std::optional<std::uint64_t> most_row_age(const TrainOptions& options, const RunSetup& setup) {
  if (options.method != "aced") return std::nullopt;
  return most_row_age_in_aced(method_options(options, setup.objective->workers(), {}));
}

}  // namespace

GuardedRun guarded_run(const TrainOptions& options, const RunSetup& setup) {
  return {.workers = setup.objective->workers(),
          .table = setup.method->memory().tables > 0,
          .most_row_age = most_row_age(options, setup),
          .momentum = options.momentum,
          .local_steps = setup.options.job.local_steps,
          .clipped = options.clip_norm.has_value(),
          .smoothness = options.optimizer == Optimizer::sgd ? options.smoothness : std::nullopt,
          .tolerance = tolerance_of(options),
          .job_times = job_times(setup),
          .step_origin = step_origin(options),
          .speed_origin = speed_origin(options)};
}

}  // namespace tardigrad
