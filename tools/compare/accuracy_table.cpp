#include "tools/compare/accuracy_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <stdexcept>

#include "runtime/base/refuse_file.h"
#include "runtime/base/say.h"
#include "runtime/telemetry/run_log_reader.h"
#include "runtime/telemetry/telemetry.h"
#include "tools/compare/evaluations_csv.h"
#include "tools/compare/logged_run.h"

namespace tardigrad {
namespace {

/// A run as a column of the table.
struct TableRun {
  LoggedRun log;
  std::string label;

  bool has_accuracy() const { return log.evaluations.back().evaluation.accuracy.has_value(); }

  /// The accuracy, or the loss where there is none.
  static double score(const EvaluationRecord& record) {
    return record.evaluation.accuracy.value_or(record.evaluation.loss);
  }

  /// At the latest evaluation up to that time.
  std::optional<double> score_at(double time) const {
    std::optional<double> found;
    for (const EvaluationRecord& record : log.evaluations) {
      if (record.time <= time) found = score(record);
    }
    return found;
  }

  bool reaches(double value, double target) const {
    return has_accuracy() ? value >= target : value <= target;
  }

  std::optional<double> time_to(double target) const {
    for (const EvaluationRecord& record : log.evaluations) {
      if (reaches(score(record), target)) return record.time;
    }
    return std::nullopt;
  }

  double best() const {
    double best = score(log.evaluations.front());
    for (const EvaluationRecord& record : log.evaluations) {
      if (reaches(score(record), best)) best = score(record);
    }
    return best;
  }
};

std::vector<LoggedRun> read_logs(const std::vector<std::string>& log_files) {
  require_streams_once(log_files);
  std::vector<LoggedRun> logs;
  std::ranges::transform(log_files, std::back_inserter(logs), read_logged_run);
  return logs;
}

std::vector<TableRun> runs_of(std::vector<LoggedRun> logs) {
  for (const LoggedRun& log : logs) {
    if (log.evaluations.empty()) refuse_file(log.log, "holds no evaluation");
  }
  std::vector<std::string> labels = labels_of(logs);
  std::vector<TableRun> runs;
  for (std::size_t i = 0; i < logs.size(); ++i) runs.push_back({std::move(logs[i]), std::move(labels[i])});
  return runs;
}

std::string format_score(const TableRun& run, const std::optional<double>& score) {
  if (!score) return "-";
  return run.has_accuracy() ? fmt::format("{:.2f} %", 100 * *score) : fmt::format("{:.5g}", *score);
}

/// As wide as the labels need.
void print_row(const std::string& head, const std::vector<TableRun>& runs,
               const std::function<std::string(const TableRun&)>& cell) {
  say(stdout, "{:>24}", head);
  for (const TableRun& run : runs) {
    say(stdout, " {:>{}}", cell(run), std::max<std::size_t>(12, run.label.size()));
  }
  say(stdout, "\n");
}

std::string summary_member(const TableRun& run, std::uint64_t RunSummary::*member) {
  return run.log.summary ? std::to_string(*run.log.summary.*member) : std::string("-");
}

/// Of all the runs' evaluations, which fall due at the same times, almost.
std::set<double> times_of(const std::vector<TableRun>& runs) {
  std::set<double> times;
  for (const TableRun& run : runs) {
    for (const EvaluationRecord& record : run.log.evaluations) {
      times.insert(std::round(record.time * 10) / 10);
    }
  }
  return times;
}

/// What all of them reach.
double common_score(const std::vector<TableRun>& runs) {
  double common = runs.front().best();
  for (const TableRun& run : runs) {
    if (run.reaches(common, run.best())) common = run.best();
  }
  return common;
}

}  // namespace

void print_accuracy_table(const std::vector<std::string>& log_files) {
  const std::vector<TableRun> runs = runs_of(read_logs(log_files));
  const bool accuracy = runs.front().has_accuracy();
  if (std::ranges::any_of(runs, [=](const TableRun& run) { return run.has_accuracy() != accuracy; })) {
    throw std::invalid_argument("these logs share no measure: some hold accuracies");
  }
  print_row(accuracy ? "accuracy at time" : "loss at time", runs, &TableRun::label);
  for (const double time : times_of(runs)) {
    print_row(fmt::format("{:.1f}", time), runs,
              [&](const TableRun& run) { return format_score(run, run.score_at(time + 0.05)); });
  }
  const double common = common_score(runs);
  print_row(fmt::format("time to {}", format_score(runs.front(), common)), runs, [&](const TableRun& run) {
    const auto time = run.time_to(common);
    return time ? fmt::format("{:.1f}", *time) : std::string("-");
  });
  print_row("updates", runs, [](const TableRun& run) { return summary_member(run, &RunSummary::updates); });
  print_row("gradients", runs,
            [](const TableRun& run) { return summary_member(run, &RunSummary::gradients); });
}

void print_csv(const std::vector<std::string>& log_files) {
  say(stdout, "{}", evaluations_csv(read_logs(log_files)));
}

}  // namespace tardigrad
