#include "tools/advise/simulator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string_view>

#include "models/tridiagonal.h"
#include "runtime/coordinator/learning_rate.h"
#include "runtime/execution/execution.h"
#include "runtime/methods/method.h"
#include "runtime/objective/gradient_spread.h"
#include "runtime/objective/smoothness.h"
#include "tools/compare/compare_plan.h"
#include "tools/compare/earlier_results.h"
#include "tools/compare/shown_sweep.h"
#include "tools/options/compare_options.h"
#include "tools/options/option_records.h"
#include "tools/options/option_table.h"
#include "tools/report/quartiles.h"
#include "tools/train/option_checks.h"
#include "tools/train/run_setup.h"

namespace tardigrad {
namespace {

[[noreturn]] void refuse(const MeasuredRun& measured, const std::string& what) {
  throw std::invalid_argument(fmt::format("--from {}: {}", measured.file, what));
}

bool is_of_method(const OptionRow& row) { return row.section == Section::method && row.name != "seed"; }

/// Tells whether a simulation has a value of its own for what the measured run had.
bool is_simulated_otherwise(const OptionRow& row) {
  const bool is_where_or_how_long = row.section == Section::machine || row.section == Section::length;
  const bool is_problem = row.name == "workers" || row.name == "eval_examples";
  return row.section == Section::targets || is_of_method(row) || (is_where_or_how_long && !is_problem);
}

/// Copies options of the method itself, such as --gather.
void copy_options_of_method(const TrainOptions& from, TrainOptions& to) {
  for (const OptionRow& row : option_table()) {
    const auto value = row.value(from);
    if (is_of_method(row) && is_given(value)) row.parse(to, text_of(value));
  }
}

void copy_targets(const TrainOptions& from, TrainOptions& to) {
  to.target_accuracy = from.target_accuracy;
  to.target_loss = from.target_loss;
  to.target_gradient_norm_sq = from.target_gradient_norm_sq;
}

/// Tells whether something of the problem is drawn.
bool has_problem_seed(const TrainOptions& options) {
  return !is_quadratic(options) || models::is_tridiagonal(quadratic_source(options));
}

/// Returns the number to four digits, and no smaller.
double rounded_up(double value) {
  constexpr int digits = 4;
  if (value == 0) return 0;
  const double unit = std::pow(10.0, std::floor(std::log10(std::abs(value))) + 1 - digits);
  return std::ceil(value / unit) * unit;
}

/// Makes the target what the run ended with: the median of its last evaluations, one of which may be a lucky
/// one, to four digits.
void aim_at_end_of(const MeasuredRun& measured, TrainOptions& options) {
  constexpr std::size_t last = 3;
  const auto& evaluations = measured.evaluations;
  if (evaluations.size() < 2) {
    refuse(measured, "holds no evaluations to measure time to; expected --target-accuracy or --target-loss");
  }
  std::vector<double> accuracies;
  std::vector<double> losses;
  for (std::size_t i = evaluations.size() - std::min(last, evaluations.size() - 1); i < evaluations.size();
       ++i) {
    losses.push_back(evaluations[i].evaluation.loss);
    if (evaluations[i].evaluation.accuracy) accuracies.push_back(*evaluations[i].evaluation.accuracy);
  }
  if (accuracies.empty()) {
    options.target_loss = rounded_up(quartiles(losses).median);
  } else {
    options.target_accuracy = -rounded_up(-quartiles(accuracies).median);
  }
}

/// Returns how often the run was evaluated, for what jumps reaches a target the sooner the more often it is
/// looked at; but twenty times in its time at least.
double evaluation_period(const MeasuredRun& measured) {
  constexpr std::size_t least = 20;
  const std::size_t evaluations = measured.evaluations.size();
  return measured.time / static_cast<double>(std::max(evaluations, least + 1) - 1);
}

/// Writes a file unless it is there already: logs of an earlier call would be older than it.
void write_if_new(const std::filesystem::path& path, const std::string& text) {
  std::ifstream there(path);
  if (there && std::string(std::istreambuf_iterator<char>(there), {}) == text) return;
  std::ofstream file(path);
  file << text;
  if (!file.flush()) throw std::runtime_error(fmt::format("{}: cannot be written", path.string()));
}

/// Returns a file for those delays alone.
std::string trace_in(const LogFolder& folder, const std::string& trace) {
  return std::filesystem::path(folder.path()) /
         fmt::format("delays-{:016x}.trace", std::hash<std::string>()(trace));
}

}  // namespace

Simulator::Simulator(const AdviseOptions& options, const MeasuredRun& measured)
    : measured_(measured), folder_(options.log_dir, true), keeps_logs_(!options.log_dir.empty()) {
  if (is_own_model(measured.options)) {
    refuse(measured, fmt::format("its problem, {}, is brought by a program; expected a built-in one",
                                 measured.options.model));
  }
  if (LearningRate(1, measured.options.lr_schedule).follows_progress()) {
    refuse(measured,
           fmt::format("its step sizes follow the end of the run (--lr-schedule {}), and to a target "
                       "there is no such end; expected another schedule",
                       measured.options.lr_schedule));
  }
  TrainOptions shared = shared_options(options);
  choose_end(shared);
  const std::string trace = trace_text(measured);
  folder_.make();
  write_if_new(trace_in(folder_, trace), trace);
  shared.compute_time = fmt::format("trace:{}+shift", trace_in(folder_, trace));
  plan(options, shared);
}

/// Returns all but the delays and the end, which follows the target.
TrainOptions Simulator::shared_options(const AdviseOptions& options) const {
  TrainOptions shared = measured_.options;
  for (const OptionRow& row : option_table()) {
    if (is_simulated_otherwise(row)) row.reset(shared);
  }
  copy_targets(options.shared, shared);
  if (!target_of(shared)) copy_targets(measured_.options, shared);
  if (!target_of(shared)) aim_at_end_of(measured_, shared);
  shared.eval_gradient = shared.target_gradient_norm_sq.has_value();
  if (has_problem_seed(shared)) shared.problem_seed = shared.problem_seed.value_or(shared.seed);
  shared.clock = ClockKind::virtual_time;
  shared.device = options.shared.device;
  if (!options.shared.data_dir.empty()) shared.data_dir = options.shared.data_dir;
  shared.eval_every = options.shared.eval_every;
  shared.time_limit = options.shared.time_limit;
  shared.quiet = options.shared.quiet;
  return shared;
}

/// Makes the end, by default, twice what the measured run took to the target, or four times as long as it
/// was.
void Simulator::choose_end(TrainOptions& shared) {
  const Target target = target_of(shared).value();
  if (const auto reached = first_at(target, measured_.evaluations)) measured_time_ = reached->time;
  if (measured_time_ == 0) {
    refuse(measured_, fmt::format("its first model has {} already; expected a --target-accuracy or "
                                  "--target-loss that takes training",
                                  to_string(target)));
  }
  if (!shared.time_limit) shared.time_limit = measured_time_ ? 2 * *measured_time_ : 4 * measured_.time;
  if (!shared.eval_every) {
    const double period = evaluation_period(measured_);
    shared.eval_every = Period{.time = period, .text = fmt::format("{}s", period)};
  }
}

void Simulator::plan(const AdviseOptions& options, const TrainOptions& shared) {
  CompareOptions compare;
  compare.shared = shared;
  compare.methods =
      options.methods.empty() ? fmt::format("{}", fmt::join(method_names(), ",")) : options.methods;
  compare.lr = fmt::format("{}", measured_.options.lr);
  const std::vector<Contestant> contestants = parse_contestants(compare.methods, compare.lr);
  std::vector<std::string> methods;
  std::ranges::transform(contestants, std::back_inserter(methods), &Contestant::method);
  reset_without_use(compare.shared, methods);  // the user has not given them
  try {
    sweep_ = plan_sweep(compare, contestants, "");
  } catch (const std::invalid_argument& error) {
    if (std::string_view(error.what()).starts_with("--device")) throw;
    refuse(measured_, fmt::format("its problem is not to be had: {} (files are looked for as the run named "
                                  "them, from the folder where advise runs)",
                                  error.what()));
  }
  for (TrainOptions& run : sweep_.runs) {
    if (run.method == measured_.options.method) copy_options_of_method(measured_.options, run);
    copy_targets(shared, run);  // a run that is there need not go on
    check_options(run);
    methods_.push_back(run.method);
  }
  compare.seeds = options.seeds;
  if (options.seeds.find(',') != std::string::npos) compare.shared.seed = 0;
  seeds_ = seeds_of(compare);
}

void Simulator::run(const std::vector<Trial>& trials, const std::stop_token& stop) {
  Sweep round = sweep_;
  round.runs.clear();
  std::set<Trial> added;
  for (const Trial& trial : trials) {
    if (results_.contains(trial) || !added.insert(trial).second) continue;
    TrainOptions& run =
        round.runs.emplace_back(*std::ranges::find(sweep_.runs, trial.method, &TrainOptions::method));
    run.lr = trial.lr;
    run.seed = trial.seed;
    if (keeps_logs_) run.log = log_in(folder_.path(), run);
  }
  if (round.runs.empty()) return;
  if (keeps_logs_) round.known = earlier_results(round);
  const std::vector<RunResult> results = execute_shown(round, stop);
  for (std::size_t i = 0; i < results.size(); ++i) {
    results_[{round.runs[i].method, round.runs[i].lr, round.runs[i].seed}] = results[i];
  }
}

std::string Simulator::describe_gradients(const BreakOff& break_off) const {
  constexpr int jobs = 4;
  const TrainOptions& run = sweep_.runs.front();
  const RunSetup setup = set_up_run(run, sweep_.devices, sweep_.dataset);
  Objective& objective = *setup.objective;
  const std::vector<float> model = first_model(run, objective).values;
  const GradientSpread spread = estimate_gradient_spread(objective, model, jobs, break_off);
  const auto smoothness =
      measured_.smoothness ? measured_.smoothness : estimate_smoothness(objective, model, break_off);
  std::string text = fmt::format(
      "||grad f||^2 {:.3g} at the first model, noise of a minibatch {:.3g}, differences between workers "
      "{:.3g}",
      spread.norm_sq, spread.noise, spread.differences);
  if (smoothness) text += fmt::format("; smoothness {:.3g}", *smoothness);
  return text;
}

std::string Simulator::describe_measured() const {
  const auto& evaluations = measured_.evaluations;
  const bool was_measured = std::ranges::any_of(evaluations, [this](const EvaluationRecord& record) {
    return target()->measure_in(record.evaluation).has_value();
  });
  if (!was_measured) return "";
  if (!measured_time_) return "; it did not get there";
  return fmt::format("; measured: {:.3g} {}", *measured_time_, time_unit(measured_.options));
}

TrainOptions Simulator::options_with(const std::string& method, double lr) const {
  TrainOptions options = measured_.options;
  if (method != options.method) {
    for (const OptionRow& row : option_table()) {
      if (is_of_method(row)) row.reset(options);
    }
    options = options_for_method(options, method);
  }
  options.lr = lr;
  const TrainOptions& simulated = sweep_.runs.front();
  options.updates.reset();
  options.epochs.reset();
  options.time_limit = simulated.time_limit;
  options.eval_every = simulated.eval_every;
  options.eval_gradient = options.eval_gradient || simulated.eval_gradient;
  copy_targets(simulated, options);
  return options;
}

}  // namespace tardigrad
