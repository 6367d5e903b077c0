#include "tools/resume/option_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "runtime/events/recording.h"
#include "tools/options/config_file.h"
#include "tools/options/train_options.h"
#include "tools/resume/resume.h"

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;

std::string to_flag(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

/// The names that options have in a run record; it holds other members, too.
std::vector<std::string> option_names() {
  const Json options = Json::parse(to_json(TrainOptions{}));  // items() refers to it
  std::vector<std::string> names;
  for (const auto& [name, value] : options.items()) names.push_back(name);
  return names;
}

std::string to_text(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

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

bool is_given(const Json& value) {
  return !value.is_null() && !(value.is_string() && value.get_ref<const std::string&>().empty());
}

std::vector<GivenOption> options_in(const Json& run, const std::string& names_json,
                                    const std::string& source) {
  const Json names = Json::parse(names_json);
  std::vector<GivenOption> options;
  for (const auto& [name, value] : names.items()) {
    if (run.contains(name) && is_given(run[name])) {
      options.push_back({to_flag(name), to_text(run[name]), source});
    }
  }
  return options;
}

std::vector<GivenOption> expand_option_files(const CLI::App& command, const std::vector<GivenOption>& given) {
  require_values(given);
  std::vector<GivenOption> by_hand = configured_by(command, given);
  append(by_hand, given);
  std::erase_if(by_hand, [](const GivenOption& option) { return option.flag == "--config"; });
  std::vector<GivenOption> expanded;
  if (const auto replay = value_of(by_hand, "--replay")) {
    expanded = options_in(Json::parse(Recording(*replay).run_json()), to_json(TrainOptions{}),
                          fmt::format("--replay {}: ", *replay));
  }
  if (const auto resume = value_of(by_hand, "--resume")) {
    std::erase_if(by_hand, [](const GivenOption& option) { return option.flag == "--resume"; });
    const auto checkpoint = find_checkpoint(*resume, value_of(by_hand, "--checkpoint-dir").value_or(""));
    if (checkpoint) {
      expanded = options_of(*checkpoint);
      expanded.push_back({"--resume", checkpoint->string()});
    }
  }
  append(expanded, by_hand);
  return expanded;
}

void check_same_numbers(const char* flag, const std::string& path, const std::string& recorded_json,
                        const std::string& run_json) {
  constexpr std::array<std::string_view, 14> free = {
      "device",      "server_device", "sync_over",     "gradient_route", "deterministic",
      "cuda_graphs", "data_dir",      "eval_every",    "eval_objective", "eval_gradient",
      "clock",       "completions",   "eval_examples", "worker_timeout"};
  constexpr std::array<std::string_view, 6> limits = {
      "updates", "epochs", "time_limit", "target_accuracy", "target_loss", "target_gradient_norm_sq"};
  const auto is_in = [](const auto& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const Json recorded = Json::parse(recorded_json);
  const Json run = Json::parse(run_json);
  std::vector<std::string> names = option_names();
  names.emplace_back("dimension");
  for (const std::string& name : names) {
    if (is_in(free, name) || (is_in(limits, name) && run["lr_schedule"] != "cosine")) continue;
    const Json before = recorded.value(name, Json());
    if (before == run[name]) continue;
    throw std::invalid_argument(fmt::format("{} {}: recorded with {} {}, but this run has {}", flag, path,
                                            name, is_given(before) ? to_text(before) : "not given",
                                            is_given(run[name]) ? to_text(run[name]) : "not given"));
  }
}

}  // namespace tardigrad
