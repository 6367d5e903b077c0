#include "tools/compare/comparison_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>

namespace tardigrad {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// A number of a complete or failed run; NaN where it has none.
using Measure = std::function<double(const RunResult&)>;

double final_loss(const RunResult& run) {
  return run.complete() ? run.summary.final_evaluation.loss : infinity;
}

double final_accuracy(const RunResult& run) {
  return run.complete() ? run.summary.final_evaluation.accuracy.value_or(-infinity) : -infinity;
}

/// One that is no number counts as the worst, too.
double final_gradient_norm_sq(const RunResult& run) {
  if (!run.complete()) return infinity;
  const double norm_sq = run.summary.final_evaluation.gradient_norm_sq.value_or(infinity);
  return std::isnan(norm_sq) ? infinity : norm_sq;
}

/// Infinite for a run that did not reach the target, or failed, even after it.
Measure at_target(double (*value)(const EvaluationRecord&)) {
  return [value](const RunResult& run) {
    return run.complete() && run.at_target ? value(*run.at_target) : infinity;
  };
}

double time_of(const EvaluationRecord& record) { return record.time; }

Measure share(double RunSummary::*member) {
  return [member](const RunResult& run) { return run.complete() ? 100 * run.summary.*member : std::nan(""); };
}

Quartiles over_seeds(const StepSizeRuns& step_size, const Measure& measure) {
  std::vector<double> values;
  for (const RunResult& run : step_size.runs) {
    const double value = run.outcome == RunResult::Outcome::missing ? std::nan("") : measure(run);
    if (!std::isnan(value)) values.push_back(value);
  }
  return quartiles(std::move(values));
}

std::size_t count(const StepSizeRuns& step_size, RunResult::Outcome outcome) {
  return static_cast<std::size_t>(
      std::count_if(step_size.runs.begin(), step_size.runs.end(),
                    [=](const RunResult& run) { return run.outcome == outcome; }));
}

bool has_accuracy(const MethodRuns& method) {
  return std::any_of(method.step_sizes.begin(), method.step_sizes.end(), [](const StepSizeRuns& step_size) {
    return over_seeds(step_size, final_accuracy).upper > -infinity;
  });
}

bool has_gradient_norm(const MethodRuns& method) {
  return std::any_of(method.step_sizes.begin(), method.step_sizes.end(), [](const StepSizeRuns& step_size) {
    return over_seeds(step_size, final_gradient_norm_sq).lower < infinity;
  });
}

/// The first step size with the least median; nothing where there is no run.
std::optional<std::size_t> least(const MethodRuns& method, const Measure& measure) {
  std::optional<std::size_t> best;
  double best_median = 0;
  for (std::size_t i = 0; i < method.step_sizes.size(); ++i) {
    const double median = over_seeds(method.step_sizes[i], measure).median;
    if (std::isnan(median) || (best && median >= best_median)) continue;
    best = i;
    best_median = median;
  }
  return best;
}

// ---- The table. ----

struct Cell {
  std::string value;
  std::string spread = {};
};

struct Column {
  std::string heading;
  std::vector<Cell> cells;
};

/// A method at its best step size.
struct Row {
  const MethodRuns& method;
  std::size_t best;

  const StepSizeRuns& runs() const { return method.step_sizes[best]; }
};

using Format = std::string (*)(double);

std::string format_time(double time) { return fmt::format("{:.{}f}", time, time < 1000 ? 1 : 0); }
std::string format_count(double count) { return fmt::format("{:.0f}", count); }
std::string format_percent(double percent) { return fmt::format("{:.1f}", percent); }
std::string format_loss(double loss) { return fmt::format("{:#.3g}", loss); }

/// Quartiles that read like the median tell nothing more.
Cell format_quartiles(const Quartiles& values, Format format) {
  const auto text = [format](double value) {
    return std::isfinite(value) ? format(value) : std::string("-");
  };
  const Cell cell{text(values.median), fmt::format(" [{}, {}]", text(values.lower), text(values.upper))};
  return cell.spread == fmt::format(" [{}, {}]", cell.value, cell.value) ? Cell{cell.value} : cell;
}

Column column_of(const std::string& heading, const std::vector<Row>& rows,
                 const std::function<Cell(const Row&)>& cell) {
  Column column{heading, {}};
  std::transform(rows.begin(), rows.end(), std::back_inserter(column.cells), cell);
  return column;
}

Column column_of(const std::string& heading, const std::vector<Row>& rows, const Measure& measure,
                 Format format) {
  return column_of(heading, rows,
                   [&](const Row& row) { return format_quartiles(over_seeds(row.runs(), measure), format); });
}

/// The numbers of failed and of missing runs, where there are any.
std::vector<Column> columns_of_outcomes(const std::vector<Row>& rows) {
  std::vector<Column> columns;
  const auto add = [&](const char* heading, RunResult::Outcome outcome) {
    const auto has = [=](const Row& row) { return count(row.runs(), outcome) > 0; };
    if (std::none_of(rows.begin(), rows.end(), has)) return;
    columns.push_back(column_of(heading, rows, [=](const Row& row) {
      return Cell{fmt::format("{} of {}", count(row.runs(), outcome), row.runs().runs.size())};
    }));
  };
  add("failed", RunResult::Outcome::failed);
  add("not run", RunResult::Outcome::missing);
  return columns;
}

std::vector<Column> make_columns(const std::vector<Row>& rows, const std::optional<Target>& target,
                                 bool accuracy, bool gradient_norm) {
  std::vector<Column> columns;
  const auto add = [&](const std::string& heading, const Measure& measure, Format format) {
    columns.push_back(column_of(heading, rows, measure, format));
  };
  columns.push_back(
      column_of("lr", rows, [](const Row& row) { return Cell{fmt::format("{}", row.runs().lr)}; }));
  if (target) {
    const std::string to = " to " + to_string(*target);
    add("time" + to, at_target(time_of), format_time);
    add("updates" + to, at_target([](const auto& record) { return static_cast<double>(record.update); }),
        format_count);
    add("gradients" + to, at_target([](const auto& record) { return static_cast<double>(record.gradients); }),
        format_count);
  }
  if (accuracy) {
    add(
        "accuracy, %", [](const RunResult& run) { return 100 * final_accuracy(run); }, format_percent);
  }
  add("loss", final_loss, format_loss);
  if (gradient_norm) add("||grad f||^2", final_gradient_norm_sq, format_loss);
  add("idle, %", share(&RunSummary::idle_share), format_percent);
  add("discarded, %", share(&RunSummary::discarded_share), format_percent);
  std::ranges::move(columns_of_outcomes(rows), std::back_inserter(columns));
  return columns;
}

/// The lines of a column, heading first: values right-aligned among themselves, spreads left-aligned.
std::vector<std::string> lines_of(const Column& column) {
  std::size_t value_width = 0;
  std::size_t spread_width = 0;
  for (const Cell& cell : column.cells) {
    value_width = std::max(value_width, cell.value.size());
    spread_width = std::max(spread_width, cell.spread.size());
  }
  const std::size_t width = std::max(column.heading.size(), value_width + spread_width);
  std::vector<std::string> lines{fmt::format("{:>{}}", column.heading, width)};
  for (const Cell& cell : column.cells) {
    lines.push_back(fmt::format("{:>{}}{:<{}}", cell.value, width - spread_width, cell.spread, spread_width));
  }
  return lines;
}

std::string describe_rows(const std::vector<Row>& rows, const std::vector<Column>& columns) {
  std::vector<std::string> lines{"method"};
  for (const Row& row : rows) lines.push_back(row.method.method);
  const std::size_t width = std::ranges::max(lines, {}, &std::string::size).size();
  for (std::string& line : lines) line.resize(width, ' ');
  for (const Column& column : columns) {
    const auto more = lines_of(column);
    for (std::size_t i = 0; i < lines.size(); ++i) lines[i] += "  " + more[i];
  }
  std::string text;
  for (std::string& line : lines) {
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

/// What is worth knowing of the search of a step size.
std::vector<std::string> notes_on(const Row& row) {
  const std::vector<StepSizeRuns>& tried = row.method.step_sizes;
  std::vector<std::string> notes;
  for (std::size_t i = 0; i < tried.size(); ++i) {
    const std::size_t failed = count(tried[i], RunResult::Outcome::failed);
    if (failed == 0 || i == row.best) continue;  // those of the best one are in the table
    notes.push_back(fmt::format("{}: at lr {}, {} of {} runs failed", row.method.method, tried[i].lr, failed,
                                tried[i].runs.size()));
  }
  if (tried.size() == 1 || (row.best > 0 && row.best + 1 < tried.size())) return notes;
  const bool smallest = row.best == 0;
  notes.push_back(fmt::format("{}: lr {} is the {} tried; a {} one may do better", row.method.method,
                              row.runs().lr, smallest ? "smallest" : "largest",
                              smallest ? "smaller" : "larger"));
  return notes;
}

}  // namespace

std::optional<std::size_t> best_step_size(const MethodRuns& method, const std::optional<Target>& target) {
  if (target) {
    const auto first = least(method, at_target(time_of));
    if (!first || time_to_target(method.step_sizes[*first]).median < infinity) return first;
  }
  if (target && target->kind == Target::Kind::gradient_norm_sq) return least(method, final_gradient_norm_sq);
  if (has_accuracy(method) && (!target || target->kind == Target::Kind::accuracy)) {
    return least(method, [](const RunResult& run) { return -final_accuracy(run); });
  }
  return least(method, final_loss);
}

Quartiles time_to_target(const StepSizeRuns& runs) { return over_seeds(runs, at_target(time_of)); }

std::string to_string(const Target& target) {
  switch (target.kind) {
    case Target::Kind::accuracy:
      return fmt::format("{:g} %", 100 * target.value);
    case Target::Kind::loss:
      return fmt::format("loss {}", target.value);
    case Target::Kind::gradient_norm_sq:
      return fmt::format("||grad f||^2 {}", target.value);
  }
  return {};
}

std::string comparison_table(const std::vector<MethodRuns>& methods, const std::optional<Target>& target) {
  std::vector<Row> rows;
  for (const MethodRuns& method : methods) {
    if (const auto best = best_step_size(method, target)) rows.push_back({method, *best});
  }
  if (rows.empty()) return "";
  const bool accuracy = std::any_of(methods.begin(), methods.end(), has_accuracy);
  const bool gradient_norm = std::any_of(methods.begin(), methods.end(), has_gradient_norm);
  std::string text = describe_rows(rows, make_columns(rows, target, accuracy, gradient_norm));
  std::vector<std::string> notes;
  for (const Row& row : rows) std::ranges::move(notes_on(row), std::back_inserter(notes));
  if (!notes.empty()) text += fmt::format("\n{}\n", fmt::join(notes, "\n"));
  return text;
}

}  // namespace tardigrad
