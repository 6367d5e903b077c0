#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/telemetry/rotating_json_lines.h"

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
  std::string server_device;
  std::optional<std::string> sync_over;
  std::string gradient_route = "auto";
  std::string precision = "fp32";
  bool deterministic = false;
  std::string cuda_graphs = "on";
  std::string partition = "iid";
  int batch_size = 32;
  bool augment = false;
  double lr = 0;
  std::optional<int> gather;
  std::optional<int> delay_threshold;
  std::optional<double> smoothness;
  std::optional<double> availability;
  std::optional<std::string> lost_rows;
  std::optional<int> local_steps;
  std::optional<double> local_lr;
  double momentum = 0;
  double weight_decay = 0;
  std::optional<double> clip_norm;
  std::string lr_schedule = "constant";
  std::optional<std::string> table_dtype;
  std::optional<std::uint64_t> resum_every;
  std::optional<std::uint64_t> updates;
  std::optional<double> epochs;
  std::optional<double> time_limit;
  std::string compute_time = "measured";
  std::string clock = "wall";
  std::string events;
  std::string throttle;
  std::string completions = "auto";
  double time_unit_s = 1;
  std::optional<double> worker_timeout_s;
  std::uint64_t seed = 0;
  std::string sampling = "shuffle";
  std::string init;
  std::string eval_every;
  std::optional<double> target_accuracy;
  std::optional<double> target_loss;
  std::optional<double> target_gradient_norm_sq;
  bool eval_objective = false;
  bool eval_gradient = false;
  std::optional<std::uint64_t> eval_examples;
  std::string log;
  std::string log_detail = "jobs";
  LogRotation log_rotation;
  std::optional<std::string> serve;
  std::optional<std::string> serve_host;
  std::optional<std::string> serve_token;  // no record, file or message of a run may hold it
  std::string save;
  std::string trace;
  std::optional<std::uint64_t> trace_size_mib;
  std::string tensorboard;
  std::string record;
  std::string replay;
  std::string checkpoint_dir;
  std::string checkpoint_every = "5m";
  int keep = 3;
  std::string resume;
  bool verify = false;
  bool quiet = false;
  bool show_memory = false;
  std::string command_line;  ///< of the program, as typed, quoted for a shell; for the log alone
};

/// Adds the `train` subcommand and binds its flags to `options`, which must outlive `app`.
CLI::App* add_train_command(CLI::App& app, TrainOptions& options);

/// Adds what says what is run, and how, but not by which method at which step size: shared by the commands
/// that run something. Results go elsewhere (add_train_command).
void add_run_options(CLI::App& command, TrainOptions& options);

/// Adds `--target-accuracy`, `--target-loss` and `--target-gradient-norm-sq`; the group's heading says what
/// they are for.
void add_target_options(CLI::App& command, TrainOptions& options, const char* group);

/// The options as the members of a JSON object, for the `run` record of logs and recordings.
std::string to_json(const TrainOptions& options);

/// What a run leaves, likewise: with the options all that whoever resumes it need not say again.
std::string outputs_json(const TrainOptions& options);

/// The command line of `tardigrad train` that runs the same again, without what it leaves; quoted for a
/// shell.
std::string repeat_command(const TrainOptions& options);

/// The words of a command line, quoted for a shell.
std::string command_line_of(std::span<const std::string> words);

/// Adds `--log-detail`, `--log-size` and `--log-files`.
void add_log_options(CLI::App& command, TrainOptions& options);

/// Adds `--quiet`.
void add_quiet_option(CLI::App& command, TrainOptions& options);
}  // namespace tardigrad
