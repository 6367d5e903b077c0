#include "tools/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>

#include "runtime/run_log_reader.h"
#include "runtime/telemetry.h"

namespace tardigrad {
namespace {

struct LoggedEvaluation {
  double time = 0;
  double score = 0;  // accuracy, or loss
};

struct LoggedRun {
  std::string label;  // the method, and its step size
  bool has_accuracy = false;
  std::vector<LoggedEvaluation> evaluations;
  std::optional<RunSummary> summary;

  /// At the latest evaluation up to that time.
  std::optional<double> score_at(double time) const {
    std::optional<double> score;
    for (const LoggedEvaluation& evaluation : evaluations) {
      if (evaluation.time <= time) score = evaluation.score;
    }
    return score;
  }

  bool reaches(double score, double target) const { return has_accuracy ? score >= target : score <= target; }

  std::optional<double> time_to(double target) const {
    for (const LoggedEvaluation& evaluation : evaluations) {
      if (reaches(evaluation.score, target)) return evaluation.time;
    }
    return std::nullopt;
  }

  double best() const {
    double best = evaluations.front().score;
    for (const LoggedEvaluation& evaluation : evaluations) {
      if (reaches(evaluation.score, best)) best = evaluation.score;
    }
    return best;
  }
};

/// Fills in a run from what its log tells.
class Collector final : public RunObserver {
 public:
  explicit Collector(LoggedRun& run) : run_(run) {}

  void on_evaluation(const EvaluationRecord& record) override {
    run_.has_accuracy = record.evaluation.accuracy.has_value();
    run_.evaluations.push_back({record.time, record.evaluation.accuracy.value_or(record.evaluation.loss)});
  }
  void on_summary(const RunSummary& summary) override { run_.summary = summary; }

 private:
  LoggedRun& run_;
};

LoggedRun read_log(const std::string& path) {
  RunLogReader log(path);
  const auto record = nlohmann::json::parse(log.run_json());
  LoggedRun run;
  run.label = fmt::format("{} {}", record.at("method").get<std::string>(), record.at("lr").get<double>());
  Collector collector(run);
  log.tell(collector);
  if (run.evaluations.empty()) throw std::invalid_argument(fmt::format("{}: holds no evaluation", path));
  return run;
}

std::string format_score(const LoggedRun& run, const std::optional<double>& score) {
  if (!score) return "-";
  return run.has_accuracy ? fmt::format("{:.2f} %", 100 * *score) : fmt::format("{:.5g}", *score);
}

void print_row(const std::string& head, const std::vector<LoggedRun>& runs,
               const std::function<std::string(const LoggedRun&)>& cell) {
  fmt::print("{:>24}", head);
  for (const LoggedRun& run : runs) fmt::print(" {:>12}", cell(run));
  fmt::print("\n");
}

std::string summary_member(const LoggedRun& run, std::uint64_t RunSummary::*member) {
  return run.summary ? std::to_string(*run.summary.*member) : std::string("-");
}

}  // namespace

void print_table(const std::vector<std::string>& log_files) {
  std::vector<LoggedRun> runs(log_files.size());
  std::transform(log_files.begin(), log_files.end(), runs.begin(), read_log);
  const bool accuracy = runs.front().has_accuracy;
  std::set<double> times;
  for (const LoggedRun& run : runs) {
    if (run.has_accuracy != accuracy)
      throw std::invalid_argument("these logs share no measure: some hold accuracies");
    for (const LoggedEvaluation& evaluation : run.evaluations) {
      times.insert(std::round(evaluation.time * 10) / 10);  // evaluations fall due at the same times, almost
    }
  }
  print_row(accuracy ? "accuracy at time" : "loss at time", runs,
            [](const LoggedRun& run) { return run.label; });
  for (const double time : times) {
    print_row(fmt::format("{:.1f}", time), runs,
              [&](const LoggedRun& run) { return format_score(run, run.score_at(time + 0.05)); });
  }
  double common = runs.front().best();
  for (const LoggedRun& run : runs) {
    if (run.reaches(common, run.best())) common = run.best();
  }
  print_row(fmt::format("time to {}", format_score(runs.front(), common)), runs, [&](const LoggedRun& run) {
    const auto time = run.time_to(common);
    return time ? fmt::format("{:.1f}", *time) : std::string("-");
  });
  print_row("updates", runs, [](const LoggedRun& run) { return summary_member(run, &RunSummary::updates); });
  print_row("gradients", runs,
            [](const LoggedRun& run) { return summary_member(run, &RunSummary::gradients); });
}

}  // namespace tardigrad
