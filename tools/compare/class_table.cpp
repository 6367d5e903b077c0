#include "tools/compare/class_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/base/json_text.h"
#include "runtime/base/refuse_file.h"
#include "runtime/base/say.h"
#include "tools/compare/logged_run.h"
#include "tools/train/data_classes.h"

namespace tardigrad {
namespace {

/// A run as a column of the table.
struct ClassRun {
  std::string label;
  std::vector<DataClass> classes;                 // of its training data
  std::vector<std::optional<double>> accuracies;  // of the classes, at the last evaluation
};

std::vector<DataClass> classes_in_record(const LoggedRun& log) {
  try {
    return parse_classes(parse_own_json(log.run_json).value("classes", nlohmann::json::array()));
  } catch (const nlohmann::json::exception&) {
    refuse_file(log.log, "has classes of another form in its run record; expected name, worker and share");
  }
}

std::vector<ClassRun> read_class_runs(const std::vector<std::string>& log_files) {
  std::vector<LoggedRun> logs;
  logs.reserve(log_files.size());
  for (const std::string& file : log_files) logs.push_back(read_logged_run(file));
  const std::vector<std::string> labels = labels_of(logs);
  std::vector<ClassRun> runs;
  runs.reserve(logs.size());
  for (std::size_t i = 0; i < logs.size(); ++i) {
    ClassRun& run = runs.emplace_back(ClassRun{labels[i], classes_in_record(logs[i]), {}});
    if (!logs[i].evaluations.empty()) run.accuracies = logs[i].evaluations.back().evaluation.class_accuracy;
    if (run.accuracies.empty()) {
      refuse_file(logs[i].log,
                  "holds no accuracy of classes; expected the log of a network, written by this version");
    }
  }
  return runs;
}

std::string name_of_class(const ClassRun& run, std::size_t label) {
  if (label >= run.classes.size() || run.classes[label].name == std::to_string(label)) {
    return std::to_string(label);
  }
  return fmt::format("{} {}", label, run.classes[label].name);
}

std::size_t count_classes(const std::vector<ClassRun>& runs) {
  std::size_t classes = 0;
  for (const ClassRun& run : runs) classes = std::max(classes, run.accuracies.size());
  return classes;
}

std::vector<std::string> holders_in(const ClassRun& run) {
  std::vector<std::string> holders;
  for (const DataClass& one : run.classes) {
    holders.push_back(
        fmt::format("worker {} has {:.0f} %", one.most_of_it.worker, 100 * one.most_of_it.share));
  }
  return holders;
}

/// Of each class; none where they are not the same in all runs.
std::vector<std::string> holders_of_classes(const std::vector<ClassRun>& runs) {
  const std::vector<std::string> first = holders_in(runs.front());
  const bool same =
      std::all_of(runs.begin(), runs.end(), [&](const ClassRun& run) { return holders_in(run) == first; });
  return same ? first : std::vector<std::string>();
}

void print_cell(const ClassRun& run, const std::string& text) {
  say(stdout, " {:>{}}", text, std::max<std::size_t>(12, run.label.size()));
}

}  // namespace

void print_class_table(const std::vector<std::string>& log_files) {
  const std::vector<ClassRun> runs = read_class_runs(log_files);
  const std::vector<std::string> holders = holders_of_classes(runs);
  say(stdout, "{:>24}", "accuracy of class");
  for (const ClassRun& run : runs) print_cell(run, run.label);
  say(stdout, "{}\n", holders.empty() ? "" : "   of its training images");
  for (std::size_t label = 0; label < count_classes(runs); ++label) {
    say(stdout, "{:>24}", name_of_class(runs.front(), label));
    for (const ClassRun& run : runs) {
      const auto accuracy = label < run.accuracies.size() ? run.accuracies[label] : std::nullopt;
      print_cell(run, accuracy ? fmt::format("{:.2f} %", 100 * *accuracy) : std::string("-"));
    }
    say(stdout, "{}\n", label < holders.size() ? "   " + holders[label] : std::string());
  }
}

}  // namespace tardigrad
