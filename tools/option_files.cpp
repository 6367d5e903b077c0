#include "tools/option_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "runtime/recording.h"
#include "tools/config_file.h"
#include "tools/resume.h"
#include "tools/train_options.h"

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;

std::string to_flag(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

/// The names that options have in a run record; it holds other members, too.
std::vector<std::string> option_names() {
  const Json options = Json::parse(to_json({}));  // items() refers to it
  std::vector<std::string> names;
  for (const auto& [name, value] : options.items()) names.push_back(name);
  return names;
}

bool is_given(const Json& value) {
  return !value.is_null() && !(value.is_string() && value.get_ref<const std::string&>().empty());
}

std::string to_text(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// If arguments[i] is `flag FILE` or `flag=FILE`: the file, and `i` on the last word of it.
std::optional<std::string> file_of(std::string_view flag, const std::vector<std::string>& arguments,
                                   std::size_t& i) {
  if (arguments[i] == flag && i + 1 < arguments.size()) return arguments[++i];
  if (!arguments[i].starts_with(fmt::format("{}=", flag))) return std::nullopt;
  return arguments[i].substr(flag.size() + 1);
}

/// The value of a flag, which is no longer among them.
std::optional<std::string> taken_from(std::vector<std::string>& options, std::string_view flag) {
  std::optional<std::string> value;
  std::erase_if(options, [&](const std::string& option) {
    if (!option.starts_with(flag)) return false;
    value = option.substr(flag.size());
    return true;
  });
  return value;
}

}  // namespace

std::vector<std::string> options_in(const Json& run, const std::string& names_json) {
  const Json names = Json::parse(names_json);
  std::vector<std::string> options;
  for (const auto& [name, value] : names.items()) {
    if (run.contains(name) && is_given(run[name])) {
      options.push_back(fmt::format("{}={}", to_flag(name), to_text(run[name])));
    }
  }
  return options;
}

std::vector<std::string> expand_option_files(const std::vector<std::string>& arguments) {
  std::optional<std::string> resume;
  std::string checkpoint_dir;
  std::vector<std::string> recorded;
  std::vector<std::string> configured;
  std::vector<std::string> rest;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (const auto config = file_of("--config", arguments, i)) {
      const auto options = read_config(*config);
      configured.insert(configured.end(), options.begin(), options.end());
    } else if (const auto replay = file_of("--replay", arguments, i)) {
      recorded = options_in(Json::parse(Recording(*replay).run_json()), to_json({}));
      recorded.push_back("--replay=" + *replay);
    } else if (const auto given = file_of("--resume", arguments, i)) {
      resume = given;
    } else if (const auto folder = file_of("--checkpoint-dir", arguments, i)) {
      checkpoint_dir = *folder;
    } else {
      rest.push_back(arguments[i]);
    }
  }
  if (!resume) resume = taken_from(configured, "--resume=");
  if (const auto folder = taken_from(configured, "--checkpoint-dir="); folder && checkpoint_dir.empty()) {
    checkpoint_dir = *folder;
  }
  if (!checkpoint_dir.empty()) rest.push_back("--checkpoint-dir=" + checkpoint_dir);
  const auto checkpoint = resume ? find_checkpoint(*resume, checkpoint_dir) : std::nullopt;
  if (checkpoint) {
    recorded = options_of(*checkpoint);
    recorded.push_back("--resume=" + checkpoint->string());
  }
  std::vector<std::string> expanded(rest.begin(), rest.begin() + (rest.empty() ? 0 : 1));  // the command
  for (const auto& part : {recorded, configured}) expanded.insert(expanded.end(), part.begin(), part.end());
  expanded.insert(expanded.end(), rest.begin() + (rest.empty() ? 0 : 1), rest.end());
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
