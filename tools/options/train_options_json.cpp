// Options as records have them, and as a command that repeats a run.

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "runtime/base/json_text.h"
#include "tools/options/train_options.h"

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;

/// For a shell; plain words stay as they are.
std::string quoted(const std::string& word) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-+=:,./@%").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

}  // namespace

std::string to_json(const TrainOptions& options) {
  return Json{{"model", options.model},
              {"dataset", options.dataset},
              {"data_dir", options.data_dir},
              {"method", options.method},
              {"workers", or_null(options.workers)},
              {"device", options.device},
              {"server_device", options.server_device},
              {"sync_over", or_null(options.sync_over)},
              {"gradient_route", options.gradient_route},
              {"precision", options.precision},
              {"deterministic", options.deterministic},
              {"cuda_graphs", options.cuda_graphs},
              {"partition", options.partition},
              {"batch_size", options.batch_size},
              {"augment", options.augment},
              {"lr", options.lr},
              {"gather", or_null(options.gather)},
              {"delay_threshold", or_null(options.delay_threshold)},
              {"smoothness", or_null(options.smoothness)},
              {"availability", or_null(options.availability)},
              {"lost_rows", or_null(options.lost_rows)},
              {"local_steps", or_null(options.local_steps)},
              {"local_lr", or_null(options.local_lr)},
              {"momentum", options.momentum},
              {"weight_decay", options.weight_decay},
              {"clip_norm", or_null(options.clip_norm)},
              {"lr_schedule", options.lr_schedule},
              {"table_dtype", or_null(options.table_dtype)},
              {"resum_every", or_null(options.resum_every)},
              {"updates", or_null(options.updates)},
              {"epochs", or_null(options.epochs)},
              {"time_limit", or_null(options.time_limit)},
              {"compute_time", options.compute_time},
              {"events", options.events},
              {"throttle", options.throttle},
              {"completions", options.completions},
              {"clock", options.clock},
              {"time_unit", options.time_unit_s},
              {"worker_timeout", or_null(options.worker_timeout_s)},
              {"seed", options.seed},
              {"sampling", options.sampling},
              {"init", options.init},
              {"eval_every", options.eval_every},
              {"eval_objective", options.eval_objective},
              {"eval_gradient", options.eval_gradient},
              {"eval_examples", or_null(options.eval_examples)},
              {"target_accuracy", or_null(options.target_accuracy)},
              {"target_loss", or_null(options.target_loss)},
              {"target_gradient_norm_sq", or_null(options.target_gradient_norm_sq)}}
      .dump();
}

std::string outputs_json(const TrainOptions& options) {
  return Json{{"log", options.log},
              {"log_detail", options.log_detail},
              {"log_size", std::to_string(options.log_rotation.file_bytes)},
              {"log_files", options.log_rotation.files},
              {"serve", or_null(options.serve)},
              {"serve_host", or_null(options.serve_host)},
              {"save", options.save},
              {"trace", options.trace},
              {"trace_size", or_null(options.trace_size_mib)},
              {"tensorboard", options.tensorboard},
              {"record", options.record},
              {"checkpoint_every", options.checkpoint_every},
              {"keep", options.keep},
              {"verify", options.verify}}
      .dump();
}

std::string command_line_of(std::span<const std::string> words) {
  constexpr std::string_view secret = "--serve-token";
  std::string line;
  bool is_secret = false;
  for (const std::string& word : words) {
    const bool holds_secret = word.starts_with(std::string(secret) + "=");
    line += line.empty() ? "" : " ";
    line += is_secret ? "..." : holds_secret ? std::string(secret) + "=..." : quoted(word);
    is_secret = word == secret;
  }
  return line;
}

std::string repeat_command(const TrainOptions& options) {
  const Json defaults = Json::parse(to_json(TrainOptions{}));
  const Json given = Json::parse(to_json(options));
  std::string command = "tardigrad train";
  for (const auto& [name, value] : given.items()) {
    if (value == defaults.at(name) && name != "seed") continue;
    std::string flag = name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    command += " --" + flag;
    if (!value.is_boolean()) {
      command += " " + quoted(value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  return command;
}

}  // namespace tardigrad
