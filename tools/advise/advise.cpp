#include "tools/advise/advise.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/say.h"
#include "tools/advise/measured_run.h"
#include "tools/advise/simulator.h"
#include "tools/advise/step_search.h"
#include "tools/compare/comparison_table.h"
#include "tools/options/option_records.h"
#include "tools/train/run_setup.h"

namespace tardigrad {
namespace {

/// Is a method with one step size, and what came of it under all seeds.
struct Candidate {
  std::string label;  ///< of its row
  std::string method;
  double lr = 0;
  std::vector<RunResult> runs;
  Quartiles time = {};  ///< to the target

  MethodRuns as_row() const { return {label, {{lr, runs}}}; }
  bool arrives() const { return std::isfinite(time.median); }
};

/// Searches the step sizes of all methods, side by side.
std::vector<StepSearch> search_steps(Simulator& simulator, double first, const std::stop_token& stop) {
  std::vector<StepSearch> searches;
  for (const std::string& method : simulator.methods()) searches.emplace_back(method, first);
  while (!stop.stop_requested()) {
    std::vector<Trial> trials;
    for (const StepSearch& search : searches) {
      for (const double lr : search.wanted(simulator.target())) {
        trials.push_back({search.method(), lr, simulator.seeds().front()});
      }
    }
    if (trials.empty()) break;
    simulator.run(trials, stop);
    for (const Trial& trial : trials) {
      std::ranges::find(searches, trial.method, &StepSearch::method)->add(trial.lr, simulator.result(trial));
    }
  }
  return searches;
}

/// Returns what is left to be run with every seed.
std::vector<Candidate> finalists_of(const std::vector<StepSearch>& searches, const Simulator& simulator,
                                    const TrainOptions& measured) {
  std::vector<Candidate> candidates;
  const auto add = [&](std::string label, const std::string& method, double lr) {
    candidates.push_back({.label = std::move(label), .method = method, .lr = lr, .runs = {}});
  };
  for (const StepSearch& search : searches) {
    const std::string& method = search.method();
    for (const double lr : search.finalists(simulator.target())) add(method, method, lr);
    if (method == measured.method) add(method + ", as it ran", method, measured.lr);
  }
  return candidates;
}

std::vector<Trial> trials_of(const Candidate& candidate, const Simulator& simulator) {
  std::vector<Trial> trials;
  for (const std::uint64_t seed : simulator.seeds()) trials.push_back({candidate.method, candidate.lr, seed});
  return trials;
}

void run_all_seeds(std::vector<Candidate>& candidates, Simulator& simulator, const std::stop_token& stop) {
  std::vector<Trial> trials;
  for (const Candidate& candidate : candidates) {
    std::ranges::copy(trials_of(candidate, simulator), std::back_inserter(trials));
  }
  simulator.run(trials, stop);
  for (Candidate& candidate : candidates) {
    for (const Trial& trial : trials_of(candidate, simulator)) {
      candidate.runs.push_back(simulator.result(trial));
    }
    candidate.time = time_to_target({candidate.lr, candidate.runs});
  }
}

/// Keeps the better one of two step sizes of a method.
std::vector<Candidate> best_of_each(const std::vector<Candidate>& finalists,
                                    const std::optional<Target>& target) {
  std::vector<Candidate> best;
  for (const Candidate& candidate : finalists) {
    if (best.empty() || best.back().label != candidate.label) {
      best.push_back(candidate);
      continue;
    }
    Candidate& smaller = best.back();
    const MethodRuns both{candidate.label, {{smaller.lr, smaller.runs}, {candidate.lr, candidate.runs}}};
    if (best_step_size(both, target) == 1) smaller = candidate;
  }
  return best;
}

std::string describe_time(const Quartiles& time, const char* unit) {
  return fmt::format("{} {} [{}, {}]", to_three_digits(time.median), unit, to_three_digits(time.lower),
                     to_three_digits(time.upper));
}

std::string describe_run(const MeasuredRun& measured, const char* unit) {
  std::size_t jobs = 0;
  for (const auto& durations : measured.durations) jobs += durations.size();
  return fmt::format("{}: {} with --lr {}, {} workers, {:.1f} {}, {} gradients", measured.file,
                     measured.options.method, measured.options.lr, measured.durations.size(), measured.time,
                     unit, jobs);
}

class Advice {
 public:
  Advice(const std::vector<Candidate>& candidates, const MeasuredRun& measured, const Simulator& simulator)
      : candidates_(candidates),
        simulator_(simulator),
        unit_(time_unit(measured.options)),
        target_(to_string(simulator.target().value())) {}

  std::string text() const {
    const Candidate* best = first_of(false);
    if (!best) {
      return fmt::format(
          "none of them reaches {} in time; a longer --time-limit, or a nearer target, says more\n", target_);
    }
    std::string text = fmt::format("take {} with --lr {}: {} to {}", best->method, best->lr,
                                   describe_time(best->time, unit_), target_);
    text += describe_level(*best) + "\n";
    if (const Candidate* own = first_of(true)) text += describe_own(*own, *best) + "\n";
    return text + "\n" + repeat_command(simulator_.options_with(best->method, best->lr)) + "\n";
  }

 private:
  bool is_as_it_ran(const Candidate& candidate) const { return candidate.label != candidate.method; }

  /// Returns the first that arrives, of those as the run was, or of the others.
  const Candidate* first_of(bool as_it_ran) const {
    const Candidate* best = nullptr;
    for (const Candidate& candidate : candidates_) {
      if (is_as_it_ran(candidate) != as_it_ran || (!as_it_ran && !candidate.arrives())) continue;
      if (!best || candidate.time.median < best->time.median) best = &candidate;
    }
    return best;
  }

  /// Names those whose band reaches into that of the best.
  std::string describe_level(const Candidate& best) const {
    std::vector<std::string> level;
    for (const Candidate& candidate : candidates_) {
      if (is_as_it_ran(candidate) || candidate.method == best.method) continue;
      if (candidate.time.lower <= best.time.upper) level.push_back(candidate.method);
    }
    return level.empty() ? "" : fmt::format("; level with it: {}", fmt::join(level, ", "));
  }

  std::string describe_own(const Candidate& own, const Candidate& best) const {
    std::string text = fmt::format("{} with --lr {}, as it ran: ", own.method, own.lr);
    if (!own.arrives()) {
      text += fmt::format("not within {:.3g} {}", simulator_.time_limit(), unit_);
    } else {
      text += describe_time(own.time, unit_);
      text += fmt::format(", {:.2f} times as long", own.time.median / best.time.median);
    }
    return text + simulator_.describe_measured();
  }

  const std::vector<Candidate>& candidates_;
  const Simulator& simulator_;
  const char* unit_;
  std::string target_;
};

std::string table_of(const std::vector<Candidate>& candidates, const std::optional<Target>& target) {
  std::vector<MethodRuns> rows;
  std::ranges::transform(candidates, std::back_inserter(rows), &Candidate::as_row);
  return comparison_table(rows, target);
}

/// Returns nothing where a stop came before the end.
std::string describe_gradients(const Simulator& simulator, const std::stop_token& stop) {
  try {
    return simulator.describe_gradients(BreakOff(stop));
  } catch (const BrokenOff&) {
    return "";
  }
}

}  // namespace

void advise(const AdviseOptions& options, RunControl& control) {
  const MeasuredRun measured = read_measured_run(options.from);
  Simulator simulator(options, measured);
  const std::stop_token stop = control.run();
  say(stdout, "{}\n{}\n", describe_run(measured, time_unit(measured.options)), describe_delays(measured));
  say(stdout, "{}\n\n", describe_gradients(simulator, stop));
  const auto searches = search_steps(simulator, measured.options.lr, stop);
  auto finalists = finalists_of(searches, simulator, measured.options);
  run_all_seeds(finalists, simulator, stop);
  if (stop.stop_requested()) {
    say(stdout, "interrupted{}\n",
        options.log_dir.empty() ? "" : "; the same command goes on where it stopped");
    return;
  }
  const auto best = best_of_each(finalists, simulator.target());
  say(stdout, "{}\n{}", table_of(best, simulator.target()), Advice(best, measured, simulator).text());
}

}  // namespace tardigrad
