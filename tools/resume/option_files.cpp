#include "tools/resume/option_files.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "runtime/base/json_text.h"
#include "runtime/checkpoint/checkpoint_folder.h"
#include "runtime/coordinator/learning_rate.h"
#include "runtime/events/recording.h"
#include "tools/options/config_file.h"
#include "tools/options/option_records.h"
#include "tools/options/option_table.h"
#include "tools/resume/resume.h"
#include "tools/resume/same_network.h"

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;

/// The options of the files that `--config` names, in the order of these.
std::vector<GivenOption> configured_by(const CLI::App& command, const std::vector<GivenOption>& given) {
  std::vector<GivenOption> configured;
  for (const GivenOption& option : given) {
    if (option.flag != "--config") continue;
    const auto options = read_config(option.value.value());
    configured.insert(configured.end(), options.begin(), options.end());
  }
  require_known(command, configured);
  require_values(configured);
  if (value_of(configured, "--config")) {
    throw std::invalid_argument("--config: a file names another one; expected both on the command line");
  }
  return configured;
}

void append(std::vector<GivenOption>& options, const std::vector<GivenOption>& more) {
  options.insert(options.end(), more.begin(), more.end());
}

}  // namespace

std::vector<GivenOption> options_in(const Json& run, Record kind, const std::string& source) {
  std::vector<GivenOption> options;
  for (const OptionRow& row : rows_of(kind)) {
    const Json value = run.value(row.name, Json());
    if (is_given(value)) options.push_back({row.flag(), text_of(value), source});
  }
  return options;
}

ExpandedOptions expand_option_files(const CLI::App& command, const std::vector<GivenOption>& given) {
  require_values(given);
  std::vector<GivenOption> by_hand = configured_by(command, given);
  append(by_hand, given);
  std::erase_if(by_hand, [](const GivenOption& option) { return option.flag == "--config"; });
  ExpandedOptions expanded;
  if (const auto replay = value_of(by_hand, "--replay")) {
    expanded.options = options_in(parse_own_json<Json>(Recording(*replay).run_json()), Record::run,
                                  fmt::format("--replay {}: ", *replay));
  }
  if (const auto resume = value_of(by_hand, "--resume")) {
    std::erase_if(by_hand, [](const GivenOption& option) { return option.flag == "--resume"; });
    expanded.checkpoint = find_checkpoint(*resume, value_of(by_hand, "--checkpoint-dir").value_or(""));
  }
  if (expanded.checkpoint) {
    expanded.options = options_of(*expanded.checkpoint);
    expanded.options.push_back({"--resume", expanded.checkpoint->path.string()});
  }
  append(expanded.options, by_hand);
  return expanded;
}

void check_same_numbers(const char* flag, const std::string& path, const std::string& recorded_json,
                        const std::string& run_json) {
  const Json recorded = parse_own_json<Json>(recorded_json);
  const Json run = parse_own_json<Json>(run_json);
  const auto check = [&](const std::string& name, const Json& usual) {
    const Json before = recorded.value(name, usual);
    if (before == run[name]) return;
    throw std::invalid_argument(fmt::format("{} {}: recorded with {} {}, but this run has {}", flag, path,
                                            name, is_given(before) ? text_of(before) : "not given",
                                            is_given(run[name]) ? text_of(run[name]) : "not given"));
  };
  require_same_network(fmt::format("{} {}", flag, path), recorded, run);
  const bool end_matters = LearningRate(1, run["lr_schedule"]).follows_progress();
  for (const OptionRow& row : rows_of(Record::run)) {
    const bool may_differ = row.on_replay == MayDiffer::always ||
                            (row.name == "model" && is_same_network(recorded, run)) ||
                            (row.on_replay == MayDiffer::unless_schedule_ends && !end_matters);
    if (!may_differ) check(row.name, row.value(TrainOptions()));  // as older programs did without it
  }
  check("dimension", Json());
}

}  // namespace tardigrad
