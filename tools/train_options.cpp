#include "tools/train_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace tardigrad {
namespace {

constexpr const char* description =
    "Train a network, or minimise a quadratic, with one method of asynchronous SGD.\n"
    "\n"
    "Workers compute gradients on streams of their own; a server folds each one in as it arrives and hands\n"
    "the new model back. No worker waits for another unless the method says so.";

constexpr const char* example =
    "Example: ten workers, one of them 20 times slower, each with few of the classes\n"
    "  tools/fetch_data.sh fashion-mnist\n"
    "  tardigrad train --model cnn --dataset fashion-mnist --method dude --lr 0.05 --workers 10 \\\n"
    "      --partition dirichlet:0.1 --compute-time 1,1,1,1,1,1,1,1,1,20 --time-unit 0.1 \\\n"
    "      --time-limit 60 --eval-every 10s --log run.jsonl --save model.safetensors\n"
    "\n"
    "Exit codes: 0 done, 2 bad usage or input, 3 device lost, 4 not finite, 1 anything else.";

/// CLI11's message for a value out of range names no flag in some cases; this one does always.
CLI::Validator positive(const char* what) {
  return CLI::Validator(
      [what](const std::string& text) {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool good =
            error == std::errc() && end == text.data() + text.size() && std::isfinite(value) && value > 0;
        return good ? std::string() : fmt::format("{} is not {}", text, what);
      },
      "");
}

void add_problem_options(CLI::App& train, TrainOptions& options) {
  constexpr const char* group = "What is trained";
  train.add_option("--model", options.model, "mlp, cnn, or quadratic:FILE.json")->required()->group(group);
  train.add_option("--dataset", options.dataset, "fashion-mnist, mnist or cifar10 (not for a quadratic)")
      ->group(group);
  train
      .add_option("--data-dir", options.data_dir,
                  "Folder of its files (default: where tools/fetch_data.sh puts them)")
      ->group(group);
  train
      .add_option(
          "--partition", options.partition,
          "Training images of the workers: iid, dirichlet:ALPHA (class shares drawn per worker), shards:K")
      ->capture_default_str()
      ->group(group);
  train
      .add_option("--sampling", options.sampling, "Minibatches of a worker: shuffle, replacement, sequential")
      ->capture_default_str()
      ->group(group);
  train.add_option("--batch-size", options.batch_size, "Images per gradient")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str()
      ->group(group);
  train
      .add_option("--init", options.init,
                  "Start from this safetensors file (default: PyTorch's initialisation)")
      ->group(group);
}

void add_method_options(CLI::App& train, TrainOptions& options) {
  constexpr const char* group = "How";
  train.add_option("--method", options.method, "asgd, dude or sync")->required()->group(group);
  train.add_option("--lr", options.lr, "Step size")
      ->required()
      ->check(positive("a positive number"))
      ->group(group);
  train.add_option("--gather", options.gather, "dude: arrivals folded in per update (default 1)")
      ->check(positive("a positive whole number"))
      ->group(group);
  train.add_option("--seed", options.seed, "Of initialisation, partition, minibatches and delays")
      ->capture_default_str()
      ->group(group);
}

void add_machine_options(CLI::App& train, TrainOptions& options) {
  constexpr const char* group = "Where, and how fast";
  train
      .add_option("--workers", options.workers, "Workers (default: one a device, or as --compute-time lists)")
      ->check(CLI::Range(1, 1000000))
      ->group(group);
  train.add_option("--device", options.device, "auto, cpu, cpu:K (K CPU devices), cuda, cuda:0,1,...")
      ->capture_default_str()
      ->group(group);
  train
      .add_option("--compute-time", options.compute_time,
                  "Time of a gradient: measured, a list such as 1,2,40, or truncnorm:MEAN:STD")
      ->capture_default_str()
      ->group(group);
  train
      .add_option("--time-unit", options.time_unit_s,
                  "Seconds of one unit of --compute-time; shorter jobs are stretched (wall clock)")
      ->check(positive("a positive number of seconds"))
      ->capture_default_str()
      ->group(group);
  train
      .add_option(
          "--clock", options.clock,
          "wall: arrivals as they happen; virtual: in the order of --compute-time, exactly repeatable")
      ->check(CLI::IsMember({"wall", "virtual"}))
      ->capture_default_str()
      ->group(group);
}

void add_length_options(CLI::App& train, TrainOptions& options) {
  constexpr const char* group = "How long (the first that is reached)";
  train.add_option("--updates", options.updates, "Steps of the model")
      ->check(positive("a positive whole number"))
      ->group(group);
  train.add_option("--epochs", options.epochs, "Passes over as many images as the training set has")
      ->check(positive("a positive number"))
      ->group(group);
  train.add_option("--time-limit", options.time_limit, "Time of the run's own clock")
      ->check(positive("a positive number"))
      ->group(group);
  train.add_option("--target-accuracy", options.target_accuracy, "Accuracy of an evaluation, in [0, 1]")
      ->check(CLI::Range(0.0, 1.0))
      ->group(group);
}

void add_output_options(CLI::App& train, TrainOptions& options) {
  constexpr const char* group = "What it leaves";
  train
      .add_option("--eval-every", options.eval_every,
                  "Evaluate every so many updates (500) or every so much time (10s); the first and last "
                  "model always are")
      ->group(group);
  train.add_option("--log", options.log, "JSON lines: run, update, eval, worker and summary records")
      ->group(group);
  train.add_option("--save", options.save, "The final model, as safetensors")->group(group);
}

std::vector<std::string> read_config(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::invalid_argument(fmt::format("--config {}: cannot be read", path));
  std::vector<std::string> options;
  for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(file)) {
    if (!item.parents.empty() || item.inputs.empty()) {
      throw std::invalid_argument(fmt::format(
          "--config {}: {}: expected lines of the form flag = value, in no section", path, item.fullname()));
    }
    std::string flag = item.name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    options.push_back(fmt::format("--{}={}", flag, fmt::join(item.inputs, ",")));
  }
  return options;
}

}  // namespace

std::vector<std::string> expand_config(const std::vector<std::string>& arguments) {
  const std::string flag = "--config";
  std::vector<std::string> from_files;
  std::vector<std::string> rest;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string path;
    if (arguments[i] == flag && i + 1 < arguments.size()) {
      path = arguments[++i];
    } else if (arguments[i].starts_with(flag + "=")) {
      path = arguments[i].substr(flag.size() + 1);
    } else {
      rest.push_back(arguments[i]);
      continue;
    }
    const std::vector<std::string> options = read_config(path);
    from_files.insert(from_files.end(), options.begin(), options.end());
  }
  rest.insert(rest.begin() + (rest.empty() ? 0 : 1), from_files.begin(),
              from_files.end());  // behind the subcommand
  return rest;
}

CLI::App* add_train_command(CLI::App& app, TrainOptions& options) {
  CLI::App* train = app.add_subcommand("train", description);
  train->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_problem_options(*train, options);
  add_method_options(*train, options);
  add_machine_options(*train, options);
  add_length_options(*train, options);
  add_output_options(*train, options);
  train->add_option("--config", "Options from this TOML file (lr = 0.05); the command line wins")
      ->group("What it leaves");
  train->footer(example);
  return train;
}

std::string to_json(const TrainOptions& options) {
  const auto or_null = [](const auto& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  return nlohmann::ordered_json{{"model", options.model},
                                {"dataset", options.dataset},
                                {"data_dir", options.data_dir},
                                {"method", options.method},
                                {"workers", or_null(options.workers)},
                                {"device", options.device},
                                {"partition", options.partition},
                                {"batch_size", options.batch_size},
                                {"lr", options.lr},
                                {"gather", options.gather},
                                {"updates", or_null(options.updates)},
                                {"epochs", or_null(options.epochs)},
                                {"time_limit", or_null(options.time_limit)},
                                {"compute_time", options.compute_time},
                                {"clock", options.clock},
                                {"time_unit_s", options.time_unit_s},
                                {"seed", options.seed},
                                {"sampling", options.sampling},
                                {"init", options.init},
                                {"eval_every", options.eval_every},
                                {"target_accuracy", or_null(options.target_accuracy)}}
      .dump();
}

EvaluationPeriod parse_eval_every(const std::string& value) {
  if (value.empty()) return {};
  const char* const end = value.data() + value.size();
  std::uint64_t updates = 0;
  if (const auto parsed = std::from_chars(value.data(), end, updates);
      parsed.ec == std::errc() && parsed.ptr == end && updates > 0) {
    return {.updates = updates, .time = std::nullopt};
  }
  double time = 0;
  if (const auto parsed = std::from_chars(value.data(), end, time);
      parsed.ec == std::errc() && parsed.ptr == end - 1 && *parsed.ptr == 's' && std::isfinite(time) &&
      time > 0) {
    return {.updates = std::nullopt, .time = time};
  }
  throw std::invalid_argument(
      fmt::format("--eval-every {}: expected a number of updates (500) or a time (10s), above 0", value));
}

}  // namespace tardigrad
