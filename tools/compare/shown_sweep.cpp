#include "tools/compare/shown_sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>

#include "runtime/base/say.h"
#include "tools/compare/comparison_table.h"
#include "tools/train/run_setup.h"

namespace tardigrad {
namespace {

std::string describe_result(const RunResult& result, const Sweep& sweep) {
  if (result.failed()) return "failed: " + result.failure;
  const Evaluation& last = result.summary.final_evaluation;
  std::string text = fmt::format("loss {:.4g}", last.loss);
  if (last.accuracy) text += fmt::format("  accuracy {:.2f} %", 100 * *last.accuracy);
  if (last.gradient_norm_sq) text += fmt::format("  ||grad f||^2 {:.4g}", *last.gradient_norm_sq);
  if (!sweep.target) return text;
  const std::string target = to_string(*sweep.target);
  if (!result.at_target) return text + fmt::format("  {} not reached", target);
  return text +
         fmt::format("  {} at time {:.1f} {}", target, result.at_target->time, time_unit(sweep.runs.front()));
}

/// Runs of one method take about as long as each other.
std::vector<std::string> methods_of(const Sweep& sweep) {
  std::vector<std::string> methods;
  std::ranges::transform(sweep.runs, std::back_inserter(methods), &TrainOptions::method);
  return methods;
}

}  // namespace

std::vector<RunResult> execute_shown(const Sweep& sweep, const std::stop_token& stop) {
  const auto describe = [&](std::size_t index, const RunResult& result) {
    const TrainOptions& run = sweep.runs[index];
    return fmt::format("{} lr {} seed {}: {}  ({:.1f} s)", run.method, run.lr, run.seed,
                       describe_result(result, sweep), result.wall_s);
  };
  const bool quiet = sweep.runs.front().quiet;
  SweepProgress progress(methods_of(sweep), SweepProgress::standard_display(quiet));
  std::vector<RunResult> results = execute_sweep(sweep, progress, describe, stop);
  if (!quiet) say(stderr, "\n");
  return results;
}

}  // namespace tardigrad
