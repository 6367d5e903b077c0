#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/batch_sizes.h"
#include "data/images/image_folder.h"
#include "models/precision.h"
#include "runtime/execution/completions.h"
#include "runtime/methods/method.h"
#include "runtime/server/gradient_route.h"
#include "runtime/telemetry/rotating_json_lines.h"
#include "runtime/telemetry/run_log.h"
#include "tools/options/period.h"

namespace tardigrad {

enum class ClockKind;
enum class TableType;
enum class Optimizer;

/// Where the gradients of a round of sync are added up.
enum class SyncOver { server, nccl, mpi };

/// What the processes of a run speak to each other by.
enum class RanksOver { mpi };

/// Everything `tardigrad train` can be told. Each member is a row of option_table(), which says what it is.
/// Text stays text where its meaning depends on other options, or on files.
struct TrainOptions {
  std::string model;
  std::string dataset;
  std::string data_dir;
  std::string method;
  std::optional<int> workers;
  std::string device = "auto";
  std::string workers_per_device;  ///< counts; empty: in turn
  std::optional<RanksOver> ranks;
  std::string workers_per_rank;  ///< counts; empty: in turn
  std::string server_device;
  int server_shards = 1;
  std::optional<SyncOver> sync_over;
  std::optional<GradientRoute> gradient_route;  ///< nothing: the faster one
  models::Precision precision = models::Precision::fp32;
  bool deterministic = false;
  bool tune = false;
  bool cuda_graphs = true;
  std::string partition = "iid";
  std::optional<std::uint64_t> problem_seed;  ///< nothing: the seed
  data::BatchSizes batch_size = 32;
  bool augment = false;
  std::optional<double> test_share;
  std::string normalise;  ///< empty: as usual for the data
  std::optional<data::ImageSize> image_size;
  data::Colour colour = data::Colour::automatic;
  bool skip_broken = false;
  double lr = 0;
  std::optional<int> gather;
  std::optional<int> delay_threshold;
  std::optional<double> smoothness;
  std::optional<double> availability;
  std::optional<LostRows> lost_rows;
  std::optional<int> local_steps;
  std::optional<double> local_lr;
  Optimizer optimizer{};  ///< sgd
  double momentum = 0;
  std::optional<double> beta1;
  std::optional<double> beta2;
  std::optional<double> epsilon;
  double weight_decay = 0;
  std::optional<double> clip_norm;
  std::string lr_schedule = "constant";
  std::optional<TableType> table_dtype;
  std::optional<std::uint64_t> resum_every;
  std::optional<std::uint64_t> updates;
  std::optional<double> epochs;
  std::optional<double> time_limit;
  std::string compute_time = "measured";
  ClockKind clock{};  ///< wall
  std::string events;
  std::string throttle;
  std::optional<Completions> completions;   ///< nothing: the faster one
  std::optional<bool> hand_over_on_device;  ///< nothing: by the host
  double time_unit_s = 1;
  std::optional<double> worker_timeout_s;
  std::uint64_t seed = 0;
  std::string sampling = "shuffle";
  std::string init;
  std::optional<Period> eval_every;
  std::optional<double> target_accuracy;
  std::optional<double> target_loss;
  std::optional<double> target_gradient_norm_sq;
  bool eval_objective = false;
  bool eval_gradient = false;
  std::optional<std::uint64_t> eval_examples;
  std::string log;
  LogDetail log_detail = LogDetail::jobs;
  LogRotation log_rotation;
  std::optional<std::string> serve;
  std::optional<std::string> serve_host;
  std::optional<std::string> serve_token;
  std::string save;
  std::string trace;
  std::optional<std::uint64_t> trace_size_mib;
  std::string tensorboard;
  std::string record;
  std::string replay;
  std::string checkpoint_dir;
  Period checkpoint_every{.time = 300, .text = "5m"};
  int keep = 3;
  std::string resume;
  bool verify = false;
  bool quiet = false;
  bool timings = false;
  bool show_memory = false;
  std::string command_line;  ///< of the program, as typed, quoted for a shell; for the log alone
};

}  // namespace tardigrad
