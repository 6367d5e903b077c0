#include "tools/compare/compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/say.h"
#include "runtime/execution/execution.h"
#include "tools/compare/compare_outputs.h"
#include "tools/compare/compare_plan.h"
#include "tools/compare/comparison_table.h"
#include "tools/compare/earlier_results.h"
#include "tools/compare/shown_sweep.h"
#include "tools/compare/sweep.h"
#include "tools/options/option_records.h"
#include "tools/options/option_table.h"
#include "tools/train/run_setup.h"

namespace tardigrad {
namespace {

std::string describe_end(const TrainOptions& run) {
  std::vector<std::string> limits;
  if (run.updates) limits.push_back(fmt::format("{} updates", *run.updates));
  if (run.epochs) limits.push_back(fmt::format("{} epochs", *run.epochs));
  if (run.time_limit) limits.push_back(fmt::format("{} {}", *run.time_limit, time_unit(run)));
  return fmt::format("{}", fmt::join(limits, " or "));
}

std::string describe_seeds(const std::vector<std::uint64_t>& seeds) {
  if (seeds.size() == 1) return fmt::format("seed {}\n\n", seeds.front());
  const bool in_a_row = std::ranges::adjacent_find(seeds, [](std::uint64_t one, std::uint64_t next) {
                          return next != one + 1;
                        }) == seeds.end();
  const std::string list = in_a_row ? fmt::format("{} to {}", seeds.front(), seeds.back())
                                    : fmt::format("{}", fmt::join(seeds, ", "));
  return fmt::format("seeds {}\nmedian [quartiles] over the seeds\n\n", list);
}

/// The lines above the table.
std::string describe_configuration(const TrainOptions& run, const std::vector<std::uint64_t>& seeds) {
  std::string text = run.model;
  if (!run.dataset.empty()) {
    text += fmt::format(" on {}, partition {}, batch size {}", run.dataset, run.partition,
                        fmt::join(run.batch_size.sizes(), ","));
  }
  return text + fmt::format(", {} workers, compute time {}, {} clock, {}, {}", *run.workers, run.compute_time,
                            text_of(row_of("clock").value(run)), describe_end(run), describe_seeds(seeds));
}

/// What an earlier call with this `--log-dir` has left need not be done again.
void take_over_earlier_results(Sweep& sweep, const std::string& log_dir) {
  if (log_dir.empty()) return;
  sweep.known = earlier_results(sweep);
  if (sweep.known.empty()) return;
  say_line("--log-dir {}: {} of {} runs are there already, and are taken over from their logs", log_dir,
           sweep.known.size(), sweep.runs.size());
}

/// The results as plan_runs() ordered them.
std::vector<MethodRuns> group(const std::vector<Contestant>& contestants, std::span<const RunResult> results,
                              std::size_t seeds) {
  std::vector<MethodRuns> methods;
  for (const Contestant& contestant : contestants) {
    MethodRuns& method = methods.emplace_back(MethodRuns{contestant.method, {}});
    for (const double lr : contestant.step_sizes) {
      method.step_sizes.push_back({lr, results.first(seeds)});
      results = results.subspan(seeds);
    }
  }
  return methods;
}

}  // namespace

void compare(const CompareOptions& options, RunControl& control, bool prints) {
  const std::vector<Contestant> contestants = parse_contestants(options.methods, options.lr);
  const std::vector<std::uint64_t> seeds = seeds_of(options);
  check_comparison_outputs(options);
  const LogFolder logs(options.log_dir, !options.csv.empty() || !options.report.empty());
  Sweep sweep = plan_sweep(options, contestants, logs.path());
  take_over_earlier_results(sweep, options.log_dir);
  logs.make();
  const std::vector<RunResult> results = execute_shown(sweep, control.run());
  const std::vector<MethodRuns> methods = group(contestants, results, seeds.size());
  std::FILE* out = table_stream(options);
  if (prints) {
    say(out, "{}{}", describe_configuration(sweep.runs.front(), seeds),
        comparison_table(methods, sweep.target));
  }
  write_comparison_outputs(options, sweep, results, methods, logs);
  const auto missing = std::ranges::count(results, RunResult::Outcome::missing, &RunResult::outcome);
  if (missing == 0) return;
  say(out, "\ninterrupted: {} of {} runs are missing; {}\n", missing, results.size(),
      options.log_dir.empty() ? "with --log-dir DIR the same command would go on where it stopped"
                              : "the same command goes on with them");
}

}  // namespace tardigrad
