#include "tools/compare/logged_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/base/json_text.h"
#include "runtime/base/refuse_file.h"
#include "runtime/telemetry/run_log_reader.h"
#include "tools/options/option_records.h"
#include "tools/options/option_table.h"

namespace tardigrad {
namespace {

using RunJson = nlohmann::ordered_json;

class LogCollector final : public RunObserver {
 public:
  explicit LogCollector(LoggedRun& run) : run_(run) {}

  void on_evaluation(const EvaluationRecord& record) override { run_.evaluations.push_back(record); }
  void on_summary(const RunSummary& summary) override { run_.summary = summary; }
  void on_warning(const Warning& warning) override {
    if (warning.kind == Warning::Kind::not_finite) run_.failure = warning.text;
    if (warning.kind == Warning::Kind::log_gap) run_.is_whole = false;
  }

 private:
  LoggedRun& run_;
};

/// Indices of runs.
using RunSet = std::vector<std::size_t>;

std::vector<std::string> option_names_in_records() {
  std::vector<std::string> names;
  std::ranges::transform(rows_of(Record::run), std::back_inserter(names), &OptionRow::name);
  return names;
}

std::vector<std::string> differing_options_of(const std::vector<RunJson>& records, const RunSet& runs) {
  std::vector<std::string> names = option_names_in_records();
  std::erase_if(names, [&](const std::string& name) {
    const RunJson first = records[runs.front()].value(name, RunJson());
    return std::all_of(runs.begin(), runs.end(),
                       [&](std::size_t run) { return records[run].value(name, RunJson()) == first; });
  });
  return names;
}

/// "seed 3", "augment", "no gather".
std::string describe_option(const std::string& name, const RunJson& value) {
  std::string words = name;
  std::replace(words.begin(), words.end(), '_', ' ');
  if (value.is_boolean()) return value.get<bool>() ? words : "no " + words;
  const std::string text = text_of(value);
  if (text.empty() || value.is_null()) return "no " + words;
  return fmt::format("{} {}", words, text);
}

/// The seed first, and where a run took place last.
int rank_in_labels(const std::string& name) {
  if (name == "seed") return 0;
  return row_of(name).says_where ? 2 : 1;
}

std::set<std::string> different(const std::vector<std::string>& labels, const RunSet& runs) {
  std::set<std::string> texts;
  for (const std::size_t run : runs) texts.insert(labels[run]);
  return texts;
}

/// Adds to the labels of runs that are labelled alike what tells them apart, as far as that goes.
void add_differences(const std::vector<RunJson>& records, const RunSet& runs,
                     std::vector<std::string>& labels) {
  std::vector<std::string> names = differing_options_of(records, runs);
  std::ranges::stable_sort(names, {}, rank_in_labels);
  for (const std::string& name : names) {
    if (different(labels, runs).size() == runs.size()) return;
    for (const std::size_t run : runs) {
      labels[run] += ", " + describe_option(name, records[run].value(name, RunJson()));
    }
  }
}

std::vector<RunSet> labelled_alike(const std::vector<std::string>& labels) {
  std::map<std::string, RunSet> alike;
  for (std::size_t run = 0; run < labels.size(); ++run) alike[labels[run]].push_back(run);
  std::vector<RunSet> sets;
  for (auto& [label, runs] : alike) {
    if (runs.size() > 1) sets.push_back(std::move(runs));
  }
  return sets;
}

std::vector<RunJson> records_of(const std::vector<LoggedRun>& runs) {
  std::vector<RunJson> records;
  records.reserve(runs.size());
  for (const LoggedRun& run : runs) records.push_back(parse_own_json<RunJson>(run.run_json));
  return records;
}

}  // namespace

LoggedRun read_logged_run(const std::string& log) {
  RunLogReader reader(log);
  LoggedRun run;
  run.log = log;
  run.run_json = reader.run_json();
  const auto record = parse_own_json<RunJson>(run.run_json);
  if (!record.at("method").is_string() || !record.value("lr", RunJson()).is_number()) {
    refuse_file(log, "names no method and step size; expected a file written by --log");
  }
  run.is_whole = reader.has_all_parts();
  LogCollector collector(run);
  reader.tell(collector, LogDetail::evaluations);
  return run;
}

std::vector<std::string> labels_of(const std::vector<LoggedRun>& runs) {
  const std::vector<RunJson> records = records_of(runs);
  std::vector<std::string> labels;
  labels.reserve(records.size());
  for (const RunJson& record : records) {
    labels.push_back(
        fmt::format("{} {}", record.at("method").get<std::string>(), record.at("lr").get<double>()));
  }
  for (const RunSet& alike : labelled_alike(labels)) add_differences(records, alike, labels);
  for (const RunSet& alike : labelled_alike(labels)) {
    for (const std::size_t run : alike) labels[run] += ", " + runs[run].log;
  }
  return labels;
}

std::vector<std::string> differing_options(const std::vector<LoggedRun>& runs) {
  RunSet all(runs.size());
  for (std::size_t run = 0; run < all.size(); ++run) all[run] = run;
  return all.empty() ? std::vector<std::string>() : differing_options_of(records_of(runs), all);
}

}  // namespace tardigrad
