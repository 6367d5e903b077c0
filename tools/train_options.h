#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace tardigrad {

/// Everything `tardigrad train` can be told, as given; the header of each value's parser says what it may be.
struct TrainOptions {
  std::string model;
  std::string dataset;
  std::string data_dir;
  std::string method;
  std::optional<int> workers;
  std::string device = "auto";
  std::string partition = "iid";
  int batch_size = 32;
  double lr = 0;
  int gather = 0;
  std::optional<std::uint64_t> updates;
  std::optional<double> epochs;
  std::optional<double> time_limit;
  std::string compute_time = "measured";
  std::string clock = "wall";
  double time_unit_s = 1;
  std::uint64_t seed = 0;
  std::string sampling = "shuffle";
  std::string init;
  std::string eval_every;
  std::optional<double> target_accuracy;
  std::string log;
  std::string save;
};

/// Replaces each `--config FILE` by the options in that TOML file, put first so that the command line wins: a
/// key is a flag without its dashes, an array is a list. Throws std::invalid_argument naming the file if it
/// cannot be read.
std::vector<std::string> expand_config(const std::vector<std::string>& arguments);

/// Adds the `train` subcommand and binds its flags to `options`, which must outlive `app`.
CLI::App* add_train_command(CLI::App& app, TrainOptions& options);

/// The options as the members of a JSON object, for the log's `run` record.
std::string to_json(const TrainOptions& options);

/// Evaluation period of `--eval-every`: "500" is updates, "2.5s" time on the run's own clock, "" neither.
struct EvaluationPeriod {
  std::optional<std::uint64_t> updates;
  std::optional<double> time;
};

/// Throws std::invalid_argument naming the value and what was expected.
EvaluationPeriod parse_eval_every(const std::string& value);

}  // namespace tardigrad
