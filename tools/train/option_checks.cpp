#include "tools/train/option_checks.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "models/precision.h"
#include "models/tridiagonal.h"
#include "runtime/coordinator/learning_rate.h"
#include "runtime/events/delays.h"
#include "tools/options/option_records.h"
#include "tools/options/option_table.h"
#include "tools/train/run_setup.h"

namespace tardigrad {
namespace {

[[noreturn]] void refuse_options(const std::string& message) { throw std::invalid_argument(message); }

/// Refuses options of data sets that have another value than their default.
void check_problem_of_the_callers(const TrainOptions& options) {
  const TrainOptions defaults;
  for (const char* name : {"data_dir", "image_size", "colour", "skip_broken", "partition", "problem_seed",
                           "batch_size", "sampling"}) {
    const OptionRow& row = row_of(name);
    if (row.value(options) == row.value(defaults)) continue;
    refuse_options(fmt::format("{} has no use with --model {}", row.flag(), options.model));
  }
}

/// Refuses what only data sets have a use for.
void check_problem_without_data(const TrainOptions& options) {
  const std::string model = is_own_model(options) ? options.model : "quadratic";
  const auto refuse = [&](const char* flag, const char* why = "") {
    refuse_options(fmt::format("{} has no use with --model {}{}", flag, model, why));
  };
  if (!options.dataset.empty()) refuse("--dataset");
  if (options.test_share) refuse("--test-share");
  if (!options.normalise.empty()) refuse("--normalise");
  if (options.augment) refuse("--augment", ", which has no images");
  if (options.precision != models::Precision::fp32) {
    refuse_options(fmt::format("--precision {}: --model {} is computed in fp32",
                               models::name_of(options.precision), model));
  }
  if (options.epochs) refuse("--epochs", ", which has no examples");
  if (options.eval_examples) refuse("--eval-examples", ", which has no images");
  if (!is_quadratic(options)) return check_problem_of_the_callers(options);
  if (models::is_tridiagonal(quadratic_source(options))) {
    models::parse_tridiagonal(quadratic_source(options));
    if (!options.workers) refuse_options(fmt::format("--model {} needs --workers", options.model));
  }
  if (options.problem_seed && !models::is_tridiagonal(quadratic_source(options))) {
    refuse("--problem-seed", ", whose problem is in a file");
  }
  if (options.target_accuracy) refuse("--target-accuracy", ", which has no accuracy");
}

/// Before any file is read.
void check_problem(const TrainOptions& options) {
  if (has_no_data(options)) return check_problem_without_data(options);
  if (options.dataset.empty()) refuse_options(fmt::format("--model {} needs a --dataset", options.model));
  const bool of_folders =
      options.image_size || options.colour != data::Colour::automatic || options.skip_broken;
  if (of_folders && !options.dataset.starts_with("folder:")) {
    refuse_options(fmt::format("--image-size, --colour and --skip-broken have no use with --dataset {}",
                               options.dataset));
  }
  if (!options.data_dir.empty() && options.dataset.find(':') != std::string::npos) {
    refuse_options(fmt::format("--data-dir has no use with --dataset {}, which says itself where it lies",
                               options.dataset));
  }
}

/// Refuses what says where a run takes place in one process, or on several.
void check_ranks(const TrainOptions& options) {
  if (!options.ranks) {
    if (!options.workers_per_rank.empty()) {
      refuse_options("--workers-per-rank has no use without --ranks mpi");
    }
    if (options.sync_over == SyncOver::mpi) {
      refuse_options("--sync-over mpi needs --ranks mpi: an all-reduce is over the processes of mpirun");
    }
    return;
  }
  if (adds_up_by_all_reduce(options) && options.worker_timeout_s) {
    refuse_options(
        fmt::format("--worker-timeout has no use with --sync-over {}: an all-reduce waits for every rank",
                    text_of(row_of("sync_over").value(options))));
  }
  if (options.server_device.starts_with("cuda") && options.server_shards > 1 &&
      !options.device.starts_with("cuda")) {
    refuse_options(
        fmt::format("--server-device {} needs --device cuda with --server-shards and --ranks mpi: each rank "
                    "has its shard on one of those GPUs",
                    options.server_device));
  }
  if (!options.server_device.empty() && options.sync_over == SyncOver::mpi) {
    refuse_options("--server-device has no use with --sync-over mpi: every rank keeps the model");
  }
  const TrainOptions defaults;
  for (const char* name : {"workers_per_device", "gradient_route", "completions"}) {
    const OptionRow& row = row_of(name);
    if (row.value(options) == row.value(defaults)) continue;
    refuse_options(fmt::format("{} has no use with --ranks mpi", row.flag()));
  }
}

/// Refuses shards of a server that is on every GPU, or on every rank.
void check_shards(const TrainOptions& options) {
  if (options.server_shards == 1) return;
  if (options.sync_over == SyncOver::nccl) {
    refuse_options("--server-shards has no use with --sync-over nccl: every GPU of a worker keeps the model");
  }
  if (options.sync_over == SyncOver::mpi) {
    refuse_options("--server-shards has no use with --sync-over mpi: every rank keeps the model");
  }
}

/// Refuses what the server's optimizer has no use for.
void check_optimizer(const TrainOptions& options) {
  if (options.optimizer == Optimizer::adamw) {
    if (options.momentum != 0) {
      refuse_options("--momentum has no use with --optimizer adamw, which has --beta1 in its place");
    }
    return;
  }
  if (options.beta1 || options.beta2 || options.epsilon) {
    refuse_options("--beta1, --beta2 and --epsilon have no use without --optimizer adamw");
  }
}

/// Refuses what a run cannot have in which the host hears of updates afterwards.
void check_hand_over(const TrainOptions& options) {
  if (!options.hand_over_on_device.value_or(false) || !options.replay.empty()) return;
  const std::string flag = "--hand-over device";
  if (options.clock == ClockKind::virtual_time) {
    refuse_options(flag + " has no use with --clock virtual, in which no worker waits for the host");
  }
  if (options.ranks) refuse_options(flag + " has no use with --ranks mpi");
  if (options.server_shards > 1) refuse_options(flag + ": works with --server-shards 1");
  const auto refuse = [&](const char* name, const char* why) {
    refuse_options(fmt::format("{}: {} {}", flag, row_of(name).flag(), why));
  };
  if (!server_options(options).plain_step()) {
    refuse_options(flag +
                   ": steps are plain ones; expected no --optimizer adamw, --momentum, --weight-decay "
                   "and --clip-norm");
  }
  if (options.lr_schedule != "constant") refuse("lr_schedule", "constant expected, as no host sets the step");
  if (options.gather.value_or(1) != 1) refuse("gather", "1 expected, an update for each arrival");
  if (options.resum_every) refuse("resum_every", "cannot be, as no host orders it");
  if (!options.events.empty()) refuse("events", "cannot be, as nobody is taken out of such a run");
  if (options.worker_timeout_s) refuse("worker_timeout", "cannot be, as nobody is taken out of such a run");
  if (!options.checkpoint_dir.empty()) refuse("checkpoint_dir", "cannot be: there are no checkpoints");
  if (!options.resume.empty()) refuse("resume", "cannot be: there are no checkpoints");
}

/// Also refuses what the method has no use for.
void check_method(const TrainOptions& options) {
  constexpr int any_number = 1 << 20;
  if (!is_own_method(options.method)) {
    static_cast<void>(
        make_method(options.method, method_options(options, options.workers.value_or(any_number), {})));
  }
  require_use(options, {options.method});
  if (options.local_steps.value_or(1) > 1 && !options.local_lr) {
    refuse_options("--local-steps needs --local-lr");
  }
  if (options.local_lr && options.local_steps.value_or(1) == 1) {
    refuse_options("--local-lr has no use with one local step; expected --local-steps 2 or more");
  }
}

}  // namespace

void check_options(const TrainOptions& options, const OwnParts& own) {
  if (is_own_model(options) && !own.objective) {
    refuse_options(fmt::format(
        "--model {}: an objective of that kind is brought by a program, in C++ or Python", options.model));
  }
  if (is_own_method(options.method) && !own.method) {
    refuse_options(fmt::format("--method {}: a method of that kind is brought by a program, in C++ or Python",
                               options.method));
  }
  if (!options.updates && !options.epochs && !options.time_limit && !options.target_accuracy &&
      !options.target_loss && !options.target_gradient_norm_sq && options.replay.empty()) {
    refuse_options(
        "no end given: expected --updates, --epochs, --time-limit, --target-accuracy, --target-loss or "
        "--target-gradient-norm-sq");
  }
  if (options.target_accuracy && !options.eval_every) refuse_options("--target-accuracy needs --eval-every");
  if (options.target_loss && !options.eval_every) refuse_options("--target-loss needs --eval-every");
  if (options.target_gradient_norm_sq && (!options.eval_every || !options.eval_gradient)) {
    refuse_options("--target-gradient-norm-sq needs --eval-every and --eval-gradient");
  }
  const bool follows_end = LearningRate(options.lr, options.lr_schedule).follows_progress();
  if (follows_end && !options.updates && !options.epochs && !options.time_limit) {
    refuse_options(
        fmt::format("--lr-schedule {} needs the end of the run: --updates, --epochs or --time-limit",
                    options.lr_schedule));
  }
  if (options.clock == ClockKind::virtual_time && options.compute_time == "measured") {
    refuse_options("--clock virtual needs a delay model: --compute-time with anything but measured");
  }
  if (options.clock == ClockKind::wall && Delays::has_network(options.compute_time)) {
    refuse_options("--compute-time with +network goes with --clock virtual only");
  }
  check_method(options);
  check_ranks(options);
  check_shards(options);
  check_hand_over(options);
  check_optimizer(options);
  check_problem(options);
}

}  // namespace tardigrad
