#include "tools/compare/compare_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <stdexcept>

#include "runtime/base/say.h"
#include "tools/options/option_table.h"
#include "tools/train/option_checks.h"
#include "tools/train/run_setup.h"

namespace tardigrad {
namespace {

void check_end_and_target(const TrainOptions& shared) {
  if (!shared.updates && !shared.epochs && !shared.time_limit) {
    throw std::invalid_argument(
        "no end given: expected --updates, --epochs or --time-limit (runs go on after a target is reached)");
  }
  if (shared.target_accuracy.has_value() + shared.target_loss.has_value() +
          shared.target_gradient_norm_sq.has_value() >
      1) {
    throw std::invalid_argument(
        "--target-accuracy, --target-loss, --target-gradient-norm-sq: expected one of them");
  }
}

/// By method, then step size, then seed.
std::vector<TrainOptions> plan_runs(const CompareOptions& options, const std::vector<Contestant>& contestants,
                                    const std::string& log_dir) {
  std::vector<TrainOptions> runs;
  for (const Contestant& contestant : contestants) {
    TrainOptions run = options_for_method(options.shared, contestant.method);
    for (const double lr : contestant.step_sizes) {
      run.lr = lr;
      for (const std::uint64_t seed : seeds_of(options)) {
        run.seed = seed;
        run.log = log_in(log_dir, run);
        runs.push_back(run);
      }
    }
  }
  return runs;
}

/// Sets up a run of each method, to find what is wrong with data and files. Returns the number of workers.
int try_set_ups(const Sweep& sweep) {
  int workers = 0;
  std::string method;
  for (const TrainOptions& run : sweep.runs) {
    if (run.method == method) continue;
    method = run.method;
    const RunSetup setup = set_up_run(run, sweep.devices, sweep.dataset);
    const std::string note = first_model(run, *setup.objective).note;
    if (!note.empty() && workers == 0) say_line(note);
    workers = setup.objective->workers();
  }
  return workers;
}

}  // namespace

std::optional<Target> target_of(const TrainOptions& options) {
  using Kind = Target::Kind;
  if (options.target_accuracy) return Target{Kind::accuracy, *options.target_accuracy};
  if (options.target_loss) return Target{Kind::loss, *options.target_loss};
  if (options.target_gradient_norm_sq) {
    return Target{Kind::gradient_norm_sq, *options.target_gradient_norm_sq};
  }
  return std::nullopt;
}

std::string log_in(const std::string& log_dir, const TrainOptions& run) {
  if (log_dir.empty()) return "";
  return std::filesystem::path(log_dir) / fmt::format("{}-{}-{}.jsonl", run.method, run.lr, run.seed);
}

Sweep plan_sweep(const CompareOptions& options, const std::vector<Contestant>& contestants,
                 const std::string& log_dir) {
  check_end_and_target(options.shared);
  std::vector<std::string> methods;
  std::ranges::transform(contestants, std::back_inserter(methods), &Contestant::method);
  require_use(options.shared, methods);
  Sweep sweep;
  sweep.target = target_of(options.shared);
  sweep.runs = plan_runs(options, contestants, log_dir);
  for (const TrainOptions& run : sweep.runs) check_options(run);
  sweep.devices = choose_devices(options.shared);
  sweep.dataset = load_data(options.shared);
  const int workers = try_set_ups(sweep);
  for (TrainOptions& run : sweep.runs) {
    run.workers = workers;
    run.target_accuracy.reset();  // the sweep measures it, and the run goes on
    run.target_loss.reset();
    run.target_gradient_norm_sq.reset();
  }
  return sweep;
}

}  // namespace tardigrad
