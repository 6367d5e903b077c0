#include "tools/options/train_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string_view>

#include "data/dataset.h"
#include "models/architecture.h"
#include "runtime/base/nearest_name.h"
#include "runtime/methods/method.h"
#include "tools/options/option_group.h"

namespace tardigrad {
namespace {

constexpr const char* train_description =
    "Train a network, or minimise a quadratic, with one method of asynchronous SGD.\n"
    "\n"
    "Workers compute gradients on streams of their own; a server folds each one in as it arrives and hands "
    "the new model back. No worker waits for another unless the method says so.";

constexpr const char* train_example =
    "Example: ten workers, one of them 20 times slower, each with few of the classes\n"
    "  tools/fetch_data.sh fashion-mnist\n"
    "  tardigrad train --model mlp --dataset fashion-mnist --method dude --lr 0.005 --workers 10 \\\n"
    "      --partition dirichlet:0.1 --compute-time 1,1,1,1,1,1,1,1,1,20 --time-unit 0.1 \\\n"
    "      --time-limit 60 --eval-every 10s --log run.jsonl --save model.safetensors\n"
    "\n"
    "Exit codes: 0 done, 2 bad usage or input, 3 device or workers lost, 4 not finite, 1 anything else;\n"
    "after SIGINT, SIGTERM or SIGHUP 128 + the number of the signal (130, 143, 129).";

constexpr const char* length_group = "How long (the first that is reached)";
constexpr const char* outputs_group = "What it leaves";

constexpr std::uint64_t least_log_bytes = 4096;

/// The files of a trace keep their names as they are.
Reader<std::string> compute_times() {
  return {"TIMES", [](const std::string&, const std::string& given) {
            constexpr std::string_view trace = "trace:";
            std::string plain = in_plain_spelling(given);
            if (!plain.starts_with(trace)) return plain;
            return std::string(trace) + given.substr(given.find(':') + 1);
          }};
}

Reader<std::string> model_name() {
  std::vector<std::string> known = models::architecture_names();
  known.insert(known.end(), {"quadratic:FILE.json", "quadratic:tridiagonal:D"});
  return name_of("NAME", known, "models/README.md", "quadratic");
}

Reader<std::string> dataset_name() {
  const auto known = data::dataset_names();
  return name_of("NAME", {known.begin(), known.end()}, "data/README.md");
}

Reader<std::string> method_name() { return name_of("NAME", method_names(), "runtime/methods/README.md"); }

void add_problem_options(CLI::App& command, TrainOptions& options) {
  OptionGroup(command, "What is trained")
      .require(
          "--model", options.model, model_name(),
          "mlp, cnn, quadratic:FILE.json, or quadratic:tridiagonal:D[:noise=X][:spread=Y], generated for "
          "any number of --workers")
      .add("--dataset", options.dataset, dataset_name(),
           "fashion-mnist, mnist or cifar10 (not for a quadratic)")
      .add("--data-dir", options.data_dir, text("FOLDER"),
           "Folder of its files (default: where tools/fetch_data.sh puts them)")
      .add("--partition", options.partition, words("HOW"),
           "Training images of the workers: iid, dirichlet:ALPHA (class shares drawn per worker), shards:K")
      .add("--sampling", options.sampling, words("HOW"),
           "Minibatches of a worker: shuffle, replacement, sequential")
      .add("--batch-size", options.batch_size, whole_number(1, 65536), "Images per gradient")
      .add_switch("--augment", options.augment,
                  "Crop training images at random (4 pixels of padding) and flip half of them")
      .add("--init", options.init, text("FILE"),
           "Start from this safetensors file (default: PyTorch's initialisation)");
}

void add_method_options(CLI::App& command, TrainOptions& options) {
  OptionGroup(command, "How")
      .add("--gather", options.gather, whole_number(0, 1'000'000'000),
           "Gradients for one update: dude 1, fedbuff 10, rennala n by default; malenia: S, default 0")
      .add("--delay-threshold", options.delay_threshold, whole_number(1),
           "asgd-delay-adaptive, ringmaster: staleness from which a step is shortened, or a job stopped "
           "(default n)")
      .add("--smoothness", options.smoothness, positive_number(),
           "L of f, for warnings of steps too large for the delays (else estimated); asgd-delay-adaptive: "
           "also bounds steps of stale gradients to 1/(4 L staleness)")
      .add("--availability", options.availability, number_from_0_to_1(),
           "mifa: probability that a worker takes part in a round (default 1)")
      .add("--lost-rows", options.lost_rows, one_of({"keep", "drop"}),
           "dude, ia2sgd, mifa: the row of a worker that is lost stays in the mean (keep, default), or the "
           "mean is that of the others until the worker is back (drop)")
      .add("--local-steps", options.local_steps, whole_number(1),
           "fedbuff: steps of SGD in a job (default 1)")
      .add("--local-lr", options.local_lr, positive_number(), "fedbuff: step size of those")
      .add("--seed", options.seed, whole_number(std::uint64_t{0}),
           "Of initialisation, partition, minibatches, delays and method");
}

void add_server_options(CLI::App& command, TrainOptions& options) {
  OptionGroup(command, "How the server steps")
      .add("--momentum", options.momentum, number_from_0_to_1(), "Of the server's steps, as in PyTorch's SGD")
      .add("--weight-decay", options.weight_decay,
           number("a number of at least 0", [](double value) { return value >= 0; }),
           "Adds this much of the model to each direction")
      .add("--clip-norm", options.clip_norm, positive_number(), "Scales longer directions down to this norm")
      .add("--lr-schedule", options.lr_schedule, words("HOW"),
           "constant, cosine (to 0 at the end of the run), step:EVERY:FACTOR (updates)")
      .add("--table-dtype", options.table_dtype, one_of({"f32", "bf16"}),
           "Methods with a table: its rows in f32 (default), or in bf16, half the memory")
      .add("--resum-every", options.resum_every, whole_number(std::uint64_t{1}),
           "Methods with a table: updates after which its mean is summed anew; the drift is reported");
}

void add_device_options(OptionGroup& group, TrainOptions& options) {
  group
      .add("--workers", options.workers, whole_number(1, 1'000'000),
           "Workers (default: one a device, or as --compute-time lists)")
      .add("--device", options.device, words("DEVICES"),
           "auto, cpu, cpu:K (K CPU devices), cuda, cuda:0,1,...")
      .add("--server-device", options.server_device, words("DEVICE"),
           "Where the server is, such as cuda:0, with workers or without (default: first of --device)")
      .add("--sync-over", options.sync_over, one_of({"server", "nccl"}),
           "sync: server (default), or nccl: every GPU keeps the model, and an all-reduce adds up a round")
      .add("--gradient-route", options.gradient_route, one_of({"auto", "peer", "copy"}),
           "Between the server's GPU and others: peer (its kernels use their memory), copy, or auto: what is "
           "measured to be faster")
      .add("--precision", options.precision, one_of({"fp32", "tf32", "bf16"}),
           "Networks on GPUs: fp32, tf32 (tensor cores, rounded operands), bf16 (activations too)")
      .add_switch(
          "--deterministic", options.deterministic,
          "Networks on GPUs: only algorithms that give the same bits in every run (a CPU's always do)")
      .add("--cuda-graphs", options.cuda_graphs, one_of({"on", "off"}),
           "Networks on GPUs: relaunch steps as CUDA graphs, on or off");
}

void add_time_options(OptionGroup& group, TrainOptions& options) {
  group
      .add("--compute-time", options.compute_time, compute_times(),
           "Time of a gradient: measured; a list such as 1,2,40; linear:A:B; truncnorm:MEAN:STD; "
           "lognormal:MU:SIGMA; pareto:SCALE:SHAPE; exponential:MEAN, each drawn once a worker; trace:FILE "
           "(recorded). Noise per job: append +halfnormal[:STD] or +exponential[:MEAN]")
      .add("--throttle", options.throttle, words("FACTORS"),
           "Makes workers slower: 2=5x,7=1.5x; on top of --compute-time and --events")
      .add("--completions", options.completions, one_of({"auto", "polling", "callback"}),
           "How the host learns that a gradient is complete (wall clock): polling, callback, or auto, the "
           "faster one as measured at the start")
      .add("--events", options.events, text("FILE"),
           "TOML script of workers that slow down, fail and come back")
      .add("--worker-timeout", options.worker_timeout_s, duration(),
           "Seconds (or 5m) after which a gradient that does not come takes its worker out of the run (wall "
           "clock; default: 20 times the worker's mean, at least 5). What --compute-time, --events and "
           "--throttle make of it is allowed besides")
      .add("--time-unit", options.time_unit_s, duration(),
           "Seconds of one unit of --compute-time; shorter jobs are stretched (wall clock)")
      .add("--clock", options.clock, one_of({"wall", "virtual"}),
           "wall: arrivals as they happen; virtual: in the order of --compute-time, exactly repeatable");
}

void add_length_options(CLI::App& command, TrainOptions& options) {
  OptionGroup(command, length_group)
      .add("--updates", options.updates, whole_number(std::uint64_t{1}), "Steps of the model")
      .add("--epochs", options.epochs, positive_number(),
           "Passes over as many images as the training set has")
      .add("--time-limit", options.time_limit, duration(), "Time of the run's own clock: 90, 90s, 5m or 2h")
      .add("--eval-every", options.eval_every, period(),
           "Evaluate every so many updates (500 or 500u) or every so much time of the run's own clock (10s, "
           "5m, "
           "2h); the first and last model always are")
      .add_switch(
          "--eval-objective", options.eval_objective,
          "Evaluations also give f(x): the loss over the workers' training images, each worker's mean "
          "weighing as much")
      .add_switch("--eval-gradient", options.eval_gradient,
                  "Evaluations also give f(x) and ||grad f(x)||^2, computed on the host")
      .add(
          "--eval-examples", options.eval_examples, whole_number(std::uint64_t{1}),
          "Images that evaluations look at, at most: the first ones of the test set; for f, of each worker's "
          "share (default: all)");
}

void add_checkpoint_options(CLI::App& command, TrainOptions& options) {
  OptionGroup(command, "What survives a power cut")
      .add("--checkpoint-dir", options.checkpoint_dir, text("FOLDER"),
           "Folder for checkpoints: the whole state of the run, and its model as --save has it")
      .add("--checkpoint-every", options.checkpoint_every, period(),
           "Time between them (30s, 5m, 2h) or updates (1000 or 1000u); the run also ends with one")
      .add("--keep", options.keep, whole_number(1, 1'000'000), "Checkpoints that are kept, the newest")
      .add("--resume", options.resume, text("WHICH"),
           "Go on from a checkpoint, the newest in a folder, or the latest in --checkpoint-dir (the run "
           "begins where there is none); the options of the run hold unless given anew");
}

void add_output_options(CLI::App& command, TrainOptions& options) {
  OptionGroup group(command, outputs_group);
  group.add("--log", options.log, text("FILE"), "JSON lines: run, update, eval, worker and summary records");
  add_log_options(command, options);
  group
      .add("--serve", options.serve, text("[HOST:]PORT"),
           "PORT or HOST:PORT of a page that shows the run while it goes on, for this machine only; with an "
           "address that others reach (0.0.0.0:8080) it needs --serve-token. /metrics is for Prometheus, "
           "/health "
           "says whether it goes on. Port 0: any that is free")
      .add("--serve-token", options.serve_token, text("TOKEN"),
           "What requests to --serve must have, as Authorization: Bearer TOKEN or ?token=TOKEN; @FILE reads "
           "it, and TARDIGRAD_SERVE_TOKEN in the environment is one, too")
      .add("--serve-host", options.serve_host, text("NAMES"),
           "Further names, NAME[:PORT],..., that --serve may be called by, as behind a proxy")
      .add("--save", options.save, text("FILE"), "The final model, as safetensors")
      .add("--trace", options.trace, text("FILE"),
           "Jobs, updates and what led to what, for chrome://tracing and ui.perfetto.dev")
      .add("--trace-size", options.trace_size_mib, whole_number(std::uint64_t{1}, std::uint64_t{1} << 20),
           "MiB that --trace takes at most (default 64): beginning and end of a run that would take more")
      .add("--tensorboard", options.tensorboard, text("FOLDER"),
           "Folder for an event file: scalars, and histograms of staleness and compute times")
      .add("--record", options.record, text("FILE"),
           "Arrivals in their order, versions and times: enough to repeat the run")
      .add("--replay", options.replay, text("FILE"),
           "Repeats a recorded run to the bit; its options hold unless given anew, and must fit");
  add_checkpoint_options(command, options);
  add_quiet_option(command, options);
  group
      .add_switch(
          "--verify", options.verify,
          "Check all that the method promises while the run goes on, and that the table's mean is that of "
          "its rows; what does not hold ends the run (exit code 1)")
      .add_switch("--show-memory", options.show_memory, "Only show what the run would take of each device")
      .mention("--config", "FILE", "Options from this TOML file (lr = 0.05); the command line wins");
}

}  // namespace

void add_run_options(CLI::App& command, TrainOptions& options) {
  add_problem_options(command, options);
  add_method_options(command, options);
  add_server_options(command, options);
  OptionGroup machine(command, "Where, and how fast");
  add_device_options(machine, options);
  add_time_options(machine, options);
  add_length_options(command, options);
}

void add_log_options(CLI::App& command, TrainOptions& options) {
  OptionGroup(command, outputs_group)
      .add("--log-detail", options.log_detail, one_of({"evaluations", "updates", "jobs"}),
           "What logs hold: evaluations; updates, too; or all jobs, with their times")
      .add("--log-size", options.log_rotation.file_bytes, size_from(least_log_bytes),
           "Size of a log file (64K, 256M, 1G; plain bytes): what does not fit goes on in a new "
           "one, and FILE is renamed FILE.1, that FILE.2, ...")
      .add("--log-files", options.log_rotation.files, whole_number(2, 1'000'000),
           "Files of a log that are kept, at most; older ones go, but for their evaluations");
}

void add_quiet_option(CLI::App& command, TrainOptions& options) {
  OptionGroup(command, outputs_group)
      .add_switch("-q,--quiet", options.quiet,
                  "No progress on stderr: only warnings, errors, and workers that are lost or back");
}

void add_target_options(CLI::App& command, TrainOptions& options, const char* group) {
  OptionGroup(command, group)
      .add("--target-accuracy", options.target_accuracy, number_from_0_to_1(),
           "Accuracy of an evaluation, in [0, 1]")
      .add("--target-loss", options.target_loss, number("a number", [](double) { return true; }),
           "Loss of an evaluation, or less")
      .add("--target-gradient-norm-sq", options.target_gradient_norm_sq, positive_number(),
           "||grad f||^2 of an evaluation, or less (needs --eval-gradient)");
}

CLI::App* add_train_command(CLI::App& app, TrainOptions& options) {
  CLI::App* train = app.add_subcommand("train", train_description);
  OptionGroup(*train, "How")
      .require("--method", options.method, method_name(), fmt::format("{}", fmt::join(method_names(), ", ")))
      .require("--lr", options.lr, positive_number(), "Step size");
  add_run_options(*train, options);
  add_target_options(*train, options, length_group);
  add_output_options(*train, options);
  train->footer(train_example);
  return train;
}

}  // namespace tardigrad
