#include "tools/compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <span>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "runtime/say.h"
#include "tools/comparison_table.h"
#include "tools/run_batch.h"
#include "tools/run_setup.h"

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

std::optional<Target> target_of(const TrainOptions& shared) {
  using Kind = Target::Kind;
  if (shared.target_accuracy) return Target{Kind::accuracy, *shared.target_accuracy};
  if (shared.target_loss) return Target{Kind::loss, *shared.target_loss};
  if (shared.target_gradient_norm_sq) return Target{Kind::gradient_norm_sq, *shared.target_gradient_norm_sq};
  return std::nullopt;
}

std::string log_file(const std::string& log_dir, const TrainOptions& run) {
  if (log_dir.empty()) return "";
  return std::filesystem::path(log_dir) / fmt::format("{}-{}-{}.jsonl", run.method, run.lr, run.seed);
}

/// By method, then step size, then seed.
std::vector<TrainOptions> plan_runs(const CompareOptions& options,
                                    const std::vector<Contestant>& contestants) {
  std::vector<TrainOptions> runs;
  for (const Contestant& contestant : contestants) {
    TrainOptions run = options_for_method(options.shared, contestant.method);
    for (const double lr : contestant.step_sizes) {
      run.lr = lr;
      for (int i = 0; i < options.seeds; ++i) {
        run.seed = options.shared.seed + static_cast<std::uint64_t>(i);
        run.log = log_file(options.log_dir, run);
        runs.push_back(run);
      }
    }
  }
  return runs;
}

/// Sets up a run of each method, to find what is wrong with data and files. Returns the number of workers.
int try_set_ups(const RunBatch& batch) {
  int workers = 0;
  std::string method;
  for (const TrainOptions& run : batch.runs) {
    if (run.method == method) continue;
    method = run.method;
    const RunSetup setup = set_up_run(run, batch.placement, batch.dataset);
    static_cast<void>(first_model(run, *setup.objective));
    workers = setup.objective->workers();
  }
  return workers;
}

/// All of it checked: whatever the user can mend is found before the first run.
RunBatch plan_batch(const CompareOptions& options, const std::vector<Contestant>& contestants) {
  check_end_and_target(options.shared);
  std::vector<std::string> methods;
  std::ranges::transform(contestants, std::back_inserter(methods), &Contestant::method);
  require_use(options.shared, methods);
  RunBatch batch;
  batch.target = target_of(options.shared);
  batch.runs = plan_runs(options, contestants);
  for (const TrainOptions& run : batch.runs) check_options(run);
  batch.placement = choose_placement(options.shared);
  batch.dataset = load_data(options.shared);
  const int workers = try_set_ups(batch);
  for (TrainOptions& run : batch.runs) {
    run.workers = workers;
    run.target_accuracy.reset();  // the batch measures it, and the run goes on
    run.target_loss.reset();
    run.target_gradient_norm_sq.reset();
  }
  return batch;
}

void make_log_folder(const std::string& log_dir) {
  if (log_dir.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(log_dir, error);
  if (error) {
    throw std::invalid_argument(fmt::format("--log-dir {}: cannot be made: {}", log_dir, error.message()));
  }
}

const char* time_unit(const TrainOptions& run) { return run.clock == "wall" ? "s" : "units"; }

std::string describe_end(const TrainOptions& run) {
  std::vector<std::string> limits;
  if (run.updates) limits.push_back(fmt::format("{} updates", *run.updates));
  if (run.epochs) limits.push_back(fmt::format("{} epochs", *run.epochs));
  if (run.time_limit) limits.push_back(fmt::format("{} {}", *run.time_limit, time_unit(run)));
  return fmt::format("{}", fmt::join(limits, " or "));
}

void print_configuration(const TrainOptions& run, int seeds) {
  fmt::print("{}", run.model);
  if (!run.dataset.empty()) {
    fmt::print(" on {}, partition {}, batch size {}", run.dataset, run.partition, run.batch_size);
  }
  fmt::print(", {} workers, compute time {}, {} clock, {}, ", *run.workers, run.compute_time, run.clock,
             describe_end(run));
  if (seeds == 1) {
    fmt::print("seed {}\n\n", run.seed);
  } else {
    fmt::print("seeds {} to {}\nmedian [quartiles] over the seeds\n\n", run.seed,
               run.seed + static_cast<std::uint64_t>(seeds) - 1);
  }
}

std::string describe_result(const RunResult& result, const RunBatch& batch) {
  if (result.failed()) return "failed: " + result.failure;
  const Evaluation& last = result.summary.final_evaluation;
  std::string text = fmt::format("loss {:.4g}", last.loss);
  if (last.accuracy) text += fmt::format("  accuracy {:.2f} %", 100 * *last.accuracy);
  if (last.gradient_norm_sq) text += fmt::format("  ||grad f||^2 {:.4g}", *last.gradient_norm_sq);
  if (!batch.target) return text;
  const std::string target = to_string(*batch.target);
  if (!result.at_target) return text + fmt::format("  {} not reached", target);
  return text +
         fmt::format("  {} at time {:.1f} {}", target, result.at_target->time, time_unit(batch.runs.front()));
}

/// Executes the batch, with a line on stderr for every run that is over.
std::vector<RunResult> execute_with_progress(const RunBatch& batch, const std::stop_token& stop) {
  std::size_t over = 0;
  const auto tell = [&](std::size_t index, const RunResult& result) {
    const TrainOptions& run = batch.runs[index];
    say(stderr, "{:>{}}/{}  {} lr {} seed {}: {}  ({:.1f} s)\n", ++over,
        fmt::formatted_size("{}", batch.runs.size()), batch.runs.size(), run.method, run.lr, run.seed,
        describe_result(result, batch), result.wall_s);
  };
  std::vector<RunResult> results = execute_batch(batch, tell, stop);
  say(stderr, "\n");
  return results;
}

/// The results as plan_runs() ordered them.
std::vector<MethodRuns> group(const std::vector<Contestant>& contestants, std::span<const RunResult> results,
                              int seeds) {
  std::vector<MethodRuns> methods;
  for (const Contestant& contestant : contestants) {
    MethodRuns& method = methods.emplace_back(MethodRuns{contestant.method, {}});
    for (const double lr : contestant.step_sizes) {
      method.step_sizes.push_back({lr, results.first(static_cast<std::size_t>(seeds))});
      results = results.subspan(static_cast<std::size_t>(seeds));
    }
  }
  return methods;
}

}  // namespace

void compare(const CompareOptions& options, const std::stop_token& stop) {
  const std::vector<Contestant> contestants = parse_contestants(options.methods, options.lr);
  const RunBatch batch = plan_batch(options, contestants);
  make_log_folder(options.log_dir);
  const std::vector<RunResult> results = execute_with_progress(batch, stop);
  print_configuration(batch.runs.front(), options.seeds);
  print_comparison(group(contestants, results, options.seeds), batch.target);
  const auto missing = std::count_if(results.begin(), results.end(), [](const RunResult& result) {
    return result.outcome == RunResult::Outcome::missing;
  });
  if (missing > 0) fmt::print("\ninterrupted: {} of {} runs are missing\n", missing, results.size());
}

}  // namespace tardigrad
