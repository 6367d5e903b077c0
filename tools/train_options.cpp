#include "tools/train_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string_view>

#include "runtime/methods/method.h"
#include "runtime/parse_number.h"

namespace tardigrad {
namespace {

constexpr const char* train_description =
    "Train a network, or minimise a quadratic, with one method of asynchronous SGD.\n"
    "\n"
    "Workers compute gradients on streams of their own; a server folds each one in as it arrives and hands\n"
    "the new model back. No worker waits for another unless the method says so.";

constexpr const char* train_example =
    "Example: ten workers, one of them 20 times slower, each with few of the classes\n"
    "  tools/fetch_data.sh fashion-mnist\n"
    "  tardigrad train --model cnn --dataset fashion-mnist --method dude --lr 0.05 --workers 10 \\\n"
    "      --partition dirichlet:0.1 --compute-time 1,1,1,1,1,1,1,1,1,20 --time-unit 0.1 \\\n"
    "      --time-limit 60 --eval-every 10s --log run.jsonl --save model.safetensors\n"
    "\n"
    "Exit codes: 0 done, 2 bad usage or input, 3 device or workers lost, 4 not finite, 1 anything else;\n"
    "after SIGINT, SIGTERM or SIGHUP 128 + the number of the signal (130, 143, 129).";

constexpr const char* length_group = "How long (the first that is reached)";

/// A number for which `valid` holds. CLI11's own checks let NaN pass, and name no flag in some cases.
template <class Valid>
CLI::Validator number(const char* what, Valid valid) {
  return CLI::Validator(
      [what, valid](const std::string& text) {
        const auto value = parse_number<double>(text);
        return value && valid(*value) ? std::string() : fmt::format("{} is not {}", text, what);
      },
      "");
}

CLI::Validator positive(const char* what) {
  return number(what, [](double value) { return value > 0; });
}

CLI::Validator from_0_to_1() {
  return number("a number from 0 to 1", [](double value) { return value >= 0 && value <= 1; });
}

/// Bytes, of "64K", "1G" or plain bytes. Throws std::invalid_argument.
std::uint64_t parse_size(const char* flag, const std::string& text) {
  constexpr std::string_view units = "KMGT";
  const std::size_t unit = text.empty() ? units.npos : units.find(text.back());
  const std::string_view digits(text.data(), text.size() - (unit == units.npos ? 0 : 1));
  const int shift = unit == units.npos ? 0 : 10 * (static_cast<int>(unit) + 1);
  const auto value = parse_number<std::uint64_t>(digits);
  constexpr std::uint64_t least = 4096;
  if (!value || *value > std::numeric_limits<std::uint64_t>::max() >> shift || *value << shift < least) {
    throw std::invalid_argument(fmt::format(
        "{} {}: expected a size of at least 4K, such as 64K, 256M, 1G or plain bytes", flag, text));
  }
  return *value << shift;
}

void add_problem_options(CLI::App& train, TrainOptions& options) {
  constexpr const char* group = "What is trained";
  train
      .add_option(
          "--model", options.model,
          "mlp, cnn, quadratic:FILE.json, or quadratic:tridiagonal:D[:noise=X][:spread=Y], generated for "
          "any number of --workers")
      ->required()
      ->group(group);
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
      .add_flag("--augment", options.augment,
                "Crop training images at random (4 pixels of padding) and flip half of them")
      ->group(group);
  train
      .add_option("--init", options.init,
                  "Start from this safetensors file (default: PyTorch's initialisation)")
      ->group(group);
}

void add_method_options(CLI::App& train, TrainOptions& options) {
  constexpr const char* group = "How";
  train
      .add_option("--gather", options.gather,
                  "Gradients for one update: dude 1, fedbuff 10, rennala n by default; malenia: S, default 0")
      ->check(CLI::Range(0, 1'000'000'000))
      ->group(group);
  train
      .add_option(
          "--delay-threshold", options.delay_threshold,
          "asgd-delay-adaptive, ringmaster: staleness from which a step is shortened, or a job stopped "
          "(default n)")
      ->check(positive("a positive whole number"))
      ->group(group);
  train
      .add_option("--smoothness", options.smoothness,
                  "L of f, for warnings of steps too large for the delays (else estimated); "
                  "asgd-delay-adaptive: also bounds steps of stale gradients to 1/(4 L staleness)")
      ->check(positive("a positive number"))
      ->group(group);
  train
      .add_option("--availability", options.availability,
                  "mifa: probability that a worker takes part in a round (default 1)")
      ->check(from_0_to_1())
      ->group(group);
  train
      .add_option(
          "--lost-rows", options.lost_rows,
          "dude, ia2sgd, mifa: the row of a worker that is lost stays in the mean (keep, default), or the "
          "mean is that of the others until the worker is back (drop)")
      ->check(CLI::IsMember({"keep", "drop"}))
      ->group(group);
  train.add_option("--local-steps", options.local_steps, "fedbuff: steps of SGD in a job (default 1)")
      ->check(positive("a positive whole number"))
      ->group(group);
  train.add_option("--local-lr", options.local_lr, "fedbuff: step size of those")
      ->check(positive("a positive number"))
      ->group(group);
  train.add_option("--seed", options.seed, "Of initialisation, partition, minibatches, delays and method")
      ->capture_default_str()
      ->group(group);
}

void add_server_options(CLI::App& train, TrainOptions& options) {
  constexpr const char* group = "How the server steps";
  train.add_option("--momentum", options.momentum, "Of the server's steps, as in PyTorch's SGD")
      ->check(from_0_to_1())
      ->capture_default_str()
      ->group(group);
  train.add_option("--weight-decay", options.weight_decay, "Adds this much of the model to each direction")
      ->check(number("a number of at least 0", [](double value) { return value >= 0; }))
      ->capture_default_str()
      ->group(group);
  train.add_option("--clip-norm", options.clip_norm, "Scales longer directions down to this norm")
      ->check(positive("a positive number"))
      ->group(group);
  train
      .add_option("--lr-schedule", options.lr_schedule,
                  "constant, cosine (to 0 at the end of the run), step:EVERY:FACTOR (updates)")
      ->capture_default_str()
      ->group(group);
  train
      .add_option("--table-dtype", options.table_dtype,
                  "Methods with a table: its rows in f32 (default), or in bf16, half the memory")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->group(group);
  train
      .add_option("--resum-every", options.resum_every,
                  "Methods with a table: updates after which its mean is summed anew; the drift is reported")
      ->check(positive("a positive whole number"))
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
      .add_option("--server-device", options.server_device,
                  "Where the server is, such as cuda:0, with workers or without (default: first of --device)")
      ->group(group);
  train
      .add_option(
          "--sync-over", options.sync_over,
          "sync: server (default), or nccl: every GPU keeps the model, and an all-reduce adds up a round")
      ->check(CLI::IsMember({"server", "nccl"}))
      ->group(group);
  train
      .add_option("--gradient-route", options.gradient_route,
                  "Between the server's GPU and others: peer (its kernels use their memory), copy, or auto: "
                  "what is measured to be faster")
      ->check(CLI::IsMember({"auto", "peer", "copy"}))
      ->capture_default_str()
      ->group(group);
  train
      .add_option("--precision", options.precision,
                  "Networks on GPUs: fp32, tf32 (tensor cores, rounded operands), bf16 (activations too)")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}))
      ->capture_default_str()
      ->group(group);
  train
      .add_flag("--deterministic", options.deterministic,
                "Networks on GPUs: only algorithms that give the same bits in every run (a CPU's always do)")
      ->group(group);
  train
      .add_option("--cuda-graphs", options.cuda_graphs,
                  "Networks on GPUs: relaunch steps as CUDA graphs, on or off")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str()
      ->group(group);
  train
      .add_option("--compute-time", options.compute_time,
                  "Time of a gradient: measured; a list such as 1,2,40; linear:A:B; truncnorm:MEAN:STD; "
                  "lognormal:MU:SIGMA; pareto:SCALE:SHAPE; exponential:MEAN, each drawn once a worker; "
                  "trace:FILE (recorded). Noise per job: append +halfnormal[:STD] or +exponential[:MEAN]")
      ->capture_default_str()
      ->group(group);
  train
      .add_option("--throttle", options.throttle,
                  "Makes workers slower: 2=5x,7=1.5x; on top of --compute-time and --events")
      ->group(group);
  train
      .add_option("--completions", options.completions,
                  "How the host learns that a gradient is complete (wall clock): polling, callback, or auto, "
                  "the faster one as measured at the start")
      ->check(CLI::IsMember({"auto", "polling", "callback"}))
      ->capture_default_str()
      ->group(group);
  train.add_option("--events", options.events, "TOML script of workers that slow down, fail and come back")
      ->group(group);
  train
      .add_option(
          "--worker-timeout", options.worker_timeout_s,
          "Seconds after which a gradient that does not come takes its worker out of the run (wall "
          "clock; default: 20 times the worker's mean, at least 5). What --compute-time, --events and "
          "--throttle make of it is allowed besides")
      ->check(positive("a positive number of seconds"))
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
  constexpr const char* group = length_group;
  train.add_option("--updates", options.updates, "Steps of the model")
      ->check(positive("a positive whole number"))
      ->group(group);
  train.add_option("--epochs", options.epochs, "Passes over as many images as the training set has")
      ->check(positive("a positive number"))
      ->group(group);
  train.add_option("--time-limit", options.time_limit, "Time of the run's own clock")
      ->check(positive("a positive number"))
      ->group(group);
  train
      .add_option("--eval-every", options.eval_every,
                  "Evaluate every so many updates (500) or every so much time (10s); the first and last "
                  "model always are")
      ->group(group);
  train
      .add_flag("--eval-objective", options.eval_objective,
                "Evaluations also give f(x): the loss over the workers' training images, each worker's mean "
                "weighing as much")
      ->group(group);
  train
      .add_flag("--eval-gradient", options.eval_gradient,
                "Evaluations also give f(x) and ||grad f(x)||^2, computed on the host")
      ->group(group);
  train
      .add_option("--eval-examples", options.eval_examples,
                  "Images that evaluations look at, at most: the first ones of the test set; for f, of each "
                  "worker's share (default: all)")
      ->check(positive("a positive whole number"))
      ->group(group);
}

void add_checkpoint_options(CLI::App& train, TrainOptions& options) {
  constexpr const char* group = "What survives a power cut";
  train
      .add_option("--checkpoint-dir", options.checkpoint_dir,
                  "Folder for checkpoints: the whole state of the run, and its model as --save has it")
      ->group(group);
  train
      .add_option("--checkpoint-every", options.checkpoint_every,
                  "Time between them (30s, 5m, 2h) or updates (1000u); the run also ends with one")
      ->capture_default_str()
      ->group(group);
  train.add_option("--keep", options.keep, "Checkpoints that are kept, the newest")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str()
      ->group(group);
  train
      .add_option("--resume", options.resume,
                  "Go on from a checkpoint, the newest in a folder, or the latest in --checkpoint-dir (the "
                  "run begins "
                  "where there is none); the options of the run hold unless given anew")
      ->group(group);
}

void add_output_options(CLI::App& train, TrainOptions& options) {
  constexpr const char* group = "What it leaves";
  train.add_option("--log", options.log, "JSON lines: run, update, eval, worker and summary records")
      ->group(group);
  add_log_options(train, options);
  train
      .add_option("--serve", options.serve,
                  "Port of a page on this machine that shows the run while it goes on (0: any that is free)")
      ->check(CLI::Range(0, 65535))
      ->group(group);
  train.add_option("--save", options.save, "The final model, as safetensors")->group(group);
  train
      .add_option("--trace", options.trace,
                  "Jobs, updates and what led to what, for chrome://tracing and ui.perfetto.dev")
      ->group(group);
  train
      .add_option(
          "--trace-size", options.trace_size_mib,
          "MiB that --trace takes at most (default 64): beginning and end of a run that would take more")
      ->check(CLI::Range(1, 1 << 20))
      ->group(group);
  train
      .add_option("--tensorboard", options.tensorboard,
                  "Folder for an event file: scalars, and histograms of staleness and compute times")
      ->group(group);
  train
      .add_option("--record", options.record,
                  "Arrivals in their order, versions and times: enough to repeat the run")
      ->group(group);
  train
      .add_option("--replay", options.replay,
                  "Repeats a recorded run to the bit; its options hold unless given anew, and must fit")
      ->group(group);
  add_checkpoint_options(train, options);
  train
      .add_flag("--verify", options.verify,
                "Check all that the method promises while the run goes on, and that the table's mean is that "
                "of its rows; what does not hold ends the run (exit code 1)")
      ->group(group);
  train.add_flag("--show-memory", options.show_memory, "Only show what the run would take of each device")
      ->group(group);
}

}  // namespace

void add_run_options(CLI::App& command, TrainOptions& options) {
  add_problem_options(command, options);
  add_method_options(command, options);
  add_server_options(command, options);
  add_machine_options(command, options);
  add_length_options(command, options);
}

void add_log_options(CLI::App& command, TrainOptions& options) {
  constexpr const char* group = "What it leaves";
  command
      .add_option("--log-detail", options.log_detail,
                  "What logs hold: evaluations; updates, too; or all jobs, with their times")
      ->check(CLI::IsMember({"evaluations", "updates", "jobs"}))
      ->capture_default_str()
      ->group(group);
  command
      .add_option_function<std::string>(
          "--log-size",
          [&options](const std::string& size) {
            options.log_rotation.file_bytes = parse_size("--log-size", size);
          },
          "Size of a log file (64K, 256M, 1G; plain bytes): what does not fit goes on in a new one, and "
          "FILE is renamed FILE.1, that FILE.2, ...")
      ->default_str("256M")
      ->group(group);
  command
      .add_option("--log-files", options.log_rotation.files,
                  "Files of a log that are kept, at most; older ones go, but for their evaluations")
      ->check(CLI::Range(2, 1'000'000))
      ->capture_default_str()
      ->group(group);
}

void add_target_options(CLI::App& command, TrainOptions& options, const char* group) {
  command.add_option("--target-accuracy", options.target_accuracy, "Accuracy of an evaluation, in [0, 1]")
      ->check(from_0_to_1())
      ->group(group);
  command.add_option("--target-loss", options.target_loss, "Loss of an evaluation, or less")
      ->check(number("a number", [](double) { return true; }))
      ->group(group);
  command
      .add_option("--target-gradient-norm-sq", options.target_gradient_norm_sq,
                  "||grad f||^2 of an evaluation, or less (needs --eval-gradient)")
      ->check(positive("a positive number"))
      ->group(group);
}

CLI::App* add_train_command(CLI::App& app, TrainOptions& options) {
  CLI::App* train = app.add_subcommand("train", train_description);
  train->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  train->add_option("--method", options.method, fmt::format("{}", fmt::join(method_names(), ", ")))
      ->required()
      ->group("How");
  train->add_option("--lr", options.lr, "Step size")
      ->required()
      ->check(positive("a positive number"))
      ->group("How");
  add_run_options(*train, options);
  add_target_options(*train, options, length_group);
  add_output_options(*train, options);
  train->add_option("--config", "Options from this TOML file (lr = 0.05); the command line wins")
      ->group("What it leaves");
  train->footer(train_example);
  return train;
}

EvaluationPeriod parse_eval_every(const std::string& value) {
  if (value.empty()) return {};
  if (const auto updates = parse_number<std::uint64_t>(value); updates && *updates > 0) {
    return {.updates = *updates, .time = std::nullopt};
  }
  const auto time = parse_number<double>(std::string_view(value).substr(0, value.size() - 1));
  if (value.back() == 's' && time && *time > 0) return {.updates = std::nullopt, .time = *time};
  throw std::invalid_argument(
      fmt::format("--eval-every {}: expected a number of updates (500) or a time (10s), above 0", value));
}

}  // namespace tardigrad
