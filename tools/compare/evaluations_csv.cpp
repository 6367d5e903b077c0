#include "tools/compare/evaluations_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/base/json_text.h"

namespace tardigrad {
namespace {

/// Of a run record.
const std::vector<std::string> columns_of_runs = {"method",  "lr",          "seed",       "model",
                                                  "dataset", "partition",   "batch_size", "workers",
                                                  "clock",   "compute_time"};

/// Of an evaluation, in the order of cells_of().
const std::vector<std::string> columns_of_evaluations = {
    "update",    "gradients",        "time",       "train_time_s", "loss", "accuracy",
    "objective", "gradient_norm_sq", "train_loss", "smoothness"};

std::string quoted_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string cell_of(const nlohmann::json& value) {
  if (value.is_null()) return "";
  return quoted_cell(value.is_string() ? value.get<std::string>() : json_text(value));
}

/// fmt writes the shortest text that reads back to the same number.
std::string number_cell(const std::optional<double>& value) {
  return value ? fmt::format("{}", *value) : std::string();
}

std::vector<std::string> cells_of(const EvaluationRecord& record) {
  const Evaluation& evaluation = record.evaluation;
  return {std::to_string(record.update),     std::to_string(record.gradients),
          number_cell(record.time),          number_cell(record.train_time_s),
          number_cell(evaluation.loss),      number_cell(evaluation.accuracy),
          number_cell(evaluation.objective), number_cell(evaluation.gradient_norm_sq),
          number_cell(record.train_loss),    number_cell(record.smoothness)};
}

void append_row(std::string& csv, const std::vector<std::string>& cells) {
  for (const std::string& cell : cells) (csv += cell) += ',';
  csv.back() = '\n';
}

std::vector<std::string> run_columns(const std::vector<LoggedRun>& runs) {
  std::vector<std::string> columns = columns_of_runs;
  std::ranges::copy_if(differing_options(runs), std::back_inserter(columns), [](const std::string& name) {
    return std::ranges::find(columns_of_runs, name) == columns_of_runs.end();
  });
  return columns;
}

}  // namespace

std::string evaluations_csv(const std::vector<LoggedRun>& runs) {
  const std::vector<std::string> columns = run_columns(runs);
  std::vector<std::string> heading{"log"};
  std::ranges::copy(columns, std::back_inserter(heading));
  std::ranges::copy(columns_of_evaluations, std::back_inserter(heading));
  std::string csv;
  append_row(csv, heading);
  for (const LoggedRun& run : runs) {
    const auto record = parse_own_json(run.run_json);
    std::vector<std::string> begin{quoted_cell(run.log)};
    for (const std::string& name : columns) begin.push_back(cell_of(record.value(name, nlohmann::json())));
    for (const EvaluationRecord& evaluation : run.evaluations) {
      std::vector<std::string> row = begin;
      std::ranges::move(cells_of(evaluation), std::back_inserter(row));
      append_row(csv, row);
    }
  }
  return csv;
}

}  // namespace tardigrad
