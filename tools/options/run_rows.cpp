// The options that say what is run, in the order of its record.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "data/dataset.h"
#include "models/architecture.h"
#include "runtime/base/nearest_name.h"
#include "runtime/execution/execution.h"
#include "runtime/methods/method.h"
#include "runtime/server/server.h"
#include "tools/options/option_table.h"

namespace tardigrad {
namespace {

/// The files of a trace keep their names as they are.
OptionType<std::string> compute_times() {
  return {"TIMES", [](const std::string&, const std::string& given) {
            constexpr std::string_view trace = "trace:";
            std::string plain = in_plain_spelling(given);
            if (!plain.starts_with(trace)) return plain;
            return std::string(trace) + given.substr(given.find(':') + 1);
          }};
}

OptionType<std::string> model_name() {
  std::vector<std::string> known = models::architecture_names();
  known.insert(known.end(), {"quadratic:FILE.json", "quadratic:tridiagonal:D"});
  return name_of("NAME", known, "models/README.md", "quadratic");
}

OptionType<std::string> dataset_name() {
  const auto known = data::dataset_names();
  return name_of("NAME", {known.begin(), known.end()}, "data/README.md");
}

OptionType<std::string> method_name() { return name_of("NAME", method_names(), "runtime/methods/README.md"); }

OptionType<SyncOver> sync_over() {
  return one_of<SyncOver>({{"server", SyncOver::server}, {"nccl", SyncOver::nccl}});
}

OptionType<std::optional<GradientRoute>> gradient_route() {
  return one_of<std::optional<GradientRoute>>(
      {{"auto", std::nullopt}, {"peer", GradientRoute::peer}, {"copy", GradientRoute::copy}});
}

OptionType<models::Precision> precision() {
  using models::Precision;
  return one_of<Precision>({{"fp32", Precision::fp32}, {"tf32", Precision::tf32}, {"bf16", Precision::bf16}});
}

OptionType<bool> on_or_off() { return one_of<bool>({{"on", true}, {"off", false}}); }

OptionType<LostRows> lost_rows() {
  return one_of<LostRows>({{"keep", LostRows::keep}, {"drop", LostRows::drop}});
}

OptionType<TableType> table_type() {
  return one_of<TableType>({{"f32", TableType::f32}, {"bf16", TableType::bf16}});
}

OptionType<std::optional<Completions>> completions() {
  return one_of<std::optional<Completions>>(
      {{"auto", std::nullopt}, {"polling", Completions::polling}, {"callback", Completions::callback}});
}

OptionType<ClockKind> clock_kind() {
  return one_of<ClockKind>({{"wall", ClockKind::wall}, {"virtual", ClockKind::virtual_time}});
}

OptionType<double> number_from_0() {
  return number("a number of at least 0", [](double value) { return value >= 0; });
}

OptionType<double> any_number() {
  return number("a number", [](double) { return true; });
}

}  // namespace

std::vector<OptionRow> run_rows() {
  using enum Section;
  using enum MayDiffer;
  using Options = TrainOptions;
  const std::string all_methods = fmt::format("{}", fmt::join(method_names(), ", "));
  return {
      make_row({.name = "model",
                .help = "mlp, cnn, quadratic:FILE.json, or quadratic:tridiagonal:D[:noise=X][:spread=Y], "
                        "generated for any number of --workers",
                .section = problem,
                .required = true},
               &Options::model, model_name()),
      make_row({.name = "dataset",
                .help = "fashion-mnist, mnist or cifar10 (not for a quadratic)",
                .section = problem},
               &Options::dataset, dataset_name()),
      make_row({.name = "data_dir",
                .help = "Folder of its files (default: where tools/fetch_data.sh puts them)",
                .section = problem,
                .on_replay = always,
                .on_resume = always,
                .says_where = true},
               &Options::data_dir, text("FOLDER")),
      make_row({.name = "method", .help = all_methods, .section = choice, .required = true}, &Options::method,
               method_name()),
      make_row({.name = "workers",
                .help = "Workers (default: one a device, or as --compute-time lists)",
                .section = machine,
                .on_resume = always},
               &Options::workers, whole_number(1, 1'000'000)),
      make_row({.name = "device",
                .help = "auto, cpu, cpu:K (K CPU devices), cuda, cuda:0,1,...",
                .section = machine,
                .on_replay = always,
                .on_resume = always,
                .says_where = true},
               &Options::device, words("DEVICES")),
      make_row({.name = "workers_per_device",
                .help = "How many workers each device of --device has, such as 4,1 (default: as many each)",
                .section = machine,
                .on_replay = always,
                .on_resume = always,
                .says_where = true},
               &Options::workers_per_device, words("N,N,...")),
      make_row({.name = "server_device",
                .help = "Where the server is, such as cuda:0, with workers or without (default: first of "
                        "--device)",
                .section = machine,
                .on_replay = always,
                .on_resume = always,
                .says_where = true},
               &Options::server_device, words("DEVICE")),
      make_row({.name = "sync_over",
                .help = "sync: server (default), or nccl: every GPU keeps the model, and an all-reduce adds "
                        "up a round",
                .section = machine,
                .feature = Feature::all_reduce,
                .on_replay = always},
               &Options::sync_over, sync_over()),
      make_row({.name = "gradient_route",
                .help = "Between the server's GPU and others: peer (its kernels use their memory), copy, or "
                        "auto: what is measured to be faster",
                .section = machine,
                .on_replay = always,
                .on_resume = always,
                .says_where = true},
               &Options::gradient_route, gradient_route()),
      make_row({.name = "precision",
                .help = "Networks on GPUs: fp32, tf32 (tensor cores, rounded operands), bf16 (activations "
                        "too)",
                .section = machine,
                .on_resume = always},
               &Options::precision, precision()),
      make_switch_row({.name = "deterministic",
                       .help = "Networks on GPUs: only algorithms that give the same bits in every run (a "
                               "CPU's always do)",
                       .section = machine,
                       .on_replay = always,
                       .on_resume = always},
                      &Options::deterministic),
      make_switch_row({.name = "tune",
                       .help = "Networks on GPUs: measure anew what is the fastest way to compute, though it "
                               "is kept from an earlier run",
                       .section = machine,
                       .record = Record::none},
                      &Options::tune),
      make_row({.name = "cuda_graphs",
                .help = "Networks on GPUs: relaunch steps as CUDA graphs, on or off",
                .section = machine,
                .on_replay = always,
                .on_resume = always,
                .says_where = true},
               &Options::cuda_graphs, on_or_off()),
      make_row({.name = "partition",
                .help = "Training images of the workers: iid, dirichlet:ALPHA (class shares drawn per "
                        "worker), shards:K",
                .section = problem,
                .goes_with_workers = true},
               &Options::partition, words("HOW")),
      make_row({.name = "batch_size", .help = "Images per gradient", .section = problem, .place = 1},
               &Options::batch_size, whole_number(1, 65536)),
      make_switch_row({.name = "augment",
                       .help = "Crop training images at random (4 pixels of padding) and flip half of them",
                       .section = problem,
                       .place = 1},
                      &Options::augment),
      make_row({.name = "lr", .help = "Step size", .section = choice, .required = true, .on_resume = always},
               &Options::lr, positive_number()),
      make_row({.name = "gather",
                .help = "Gradients for one update: dude 1, fedbuff 10, rennala n by default; malenia: S, "
                        "default 0",
                .section = method,
                .feature = Feature::gather,
                .goes_with_workers = true},
               &Options::gather, whole_number(0, 1'000'000'000)),
      make_row({.name = "delay_threshold",
                .help = "asgd-delay-adaptive, ringmaster: staleness from which a step is shortened, or a job "
                        "stopped (default n)",
                .section = method,
                .feature = Feature::delay_threshold,
                .goes_with_workers = true},
               &Options::delay_threshold, whole_number(1)),
      make_row({.name = "smoothness",
                .help = "L of f, for warnings of steps too large for the delays (else estimated); "
                        "asgd-delay-adaptive: also bounds steps of stale gradients to 1/(4 L staleness)",
                .section = method,
                .on_resume = always},
               &Options::smoothness, positive_number()),
      make_row({.name = "availability",
                .help = "mifa: probability that a worker takes part in a round (default 1)",
                .section = method,
                .feature = Feature::availability},
               &Options::availability, number_from_0_to_1()),
      make_row({.name = "lost_rows",
                .help = "dude, ia2sgd, mifa: the row of a worker that is lost stays in the mean (keep, "
                        "default), or the mean is that of the others until the worker is back (drop)",
                .section = method,
                .feature = Feature::lost_rows},
               &Options::lost_rows, lost_rows()),
      make_row({.name = "local_steps",
                .help = "fedbuff: steps of SGD in a job (default 1)",
                .section = method,
                .feature = Feature::local_steps},
               &Options::local_steps, whole_number(1)),
      make_row({.name = "local_lr",
                .help = "fedbuff: step size of those",
                .section = method,
                .feature = Feature::local_steps},
               &Options::local_lr, positive_number()),
      make_row({.name = "momentum", .help = "Of the server's steps, as in PyTorch's SGD", .section = server},
               &Options::momentum, number_from_0_to_1()),
      make_row({.name = "weight_decay",
                .help = "Adds this much of the model to each direction",
                .section = server,
                .on_resume = always},
               &Options::weight_decay, number_from_0()),
      make_row({.name = "clip_norm",
                .help = "Scales longer directions down to this norm",
                .section = server,
                .on_resume = always},
               &Options::clip_norm, positive_number()),
      make_row({.name = "lr_schedule",
                .help = "constant, cosine (to 0 at the end of the run), step:EVERY:FACTOR (updates)",
                .section = server,
                .on_resume = always},
               &Options::lr_schedule, words("HOW")),
      make_row({.name = "table_dtype",
                .help = "Methods with a table: its rows in f32 (default), or in bf16, half the memory",
                .section = server,
                .feature = Feature::table},
               &Options::table_dtype, table_type()),
      make_row({.name = "resum_every",
                .help = "Methods with a table: updates after which its mean is summed anew; the drift is "
                        "reported",
                .section = server,
                .feature = Feature::table,
                .on_resume = always},
               &Options::resum_every, whole_number(std::uint64_t{1})),
      make_row({.name = "updates",
                .help = "Steps of the model",
                .section = length,
                .on_replay = unless_schedule_ends,
                .on_resume = always},
               &Options::updates, whole_number(std::uint64_t{1})),
      make_row({.name = "epochs",
                .help = "Passes over as many images as the training set has",
                .section = length,
                .on_replay = unless_schedule_ends,
                .on_resume = always},
               &Options::epochs, positive_number()),
      make_row({.name = "time_limit",
                .help = "Time of the run's own clock: 90, 90s, 5m or 2h",
                .section = length,
                .on_replay = unless_schedule_ends,
                .on_resume = always},
               &Options::time_limit, duration()),
      make_row({.name = "compute_time",
                .help = "Time of a gradient: measured; a list such as 1,2,40; linear:A:B; "
                        "truncnorm:MEAN:STD; lognormal:MU:SIGMA; pareto:SCALE:SHAPE; exponential:MEAN, each "
                        "drawn once a worker; trace:FILE (recorded). Noise per job: append "
                        "+halfnormal[:STD] or +exponential[:MEAN]",
                .section = machine,
                .on_resume = in_wall_time,
                .goes_with_workers = true},
               &Options::compute_time, compute_times()),
      make_row({.name = "events",
                .help = "TOML script of workers that slow down, fail and come back",
                .section = machine,
                .place = 1,
                .goes_with_workers = true},
               &Options::events, text("FILE")),
      make_row({.name = "throttle",
                .help = "Makes workers slower: 2=5x,7=1.5x; on top of --compute-time and --events",
                .section = machine,
                .on_resume = in_wall_time,
                .goes_with_workers = true},
               &Options::throttle, words("FACTORS")),
      make_row({.name = "completions",
                .help = "How the host learns that a gradient is complete (wall clock): polling, callback, or "
                        "auto, the faster one as measured at the start",
                .section = machine,
                .on_replay = always,
                .on_resume = always,
                .says_where = true},
               &Options::completions, completions()),
      make_row({.name = "clock",
                .help = "wall: arrivals as they happen; virtual: in the order of --compute-time, exactly "
                        "repeatable",
                .section = machine,
                .place = 4,
                .on_replay = always},
               &Options::clock, clock_kind()),
      make_row({.name = "time_unit",
                .help = "Seconds of one unit of --compute-time; shorter jobs are stretched (wall clock)",
                .section = machine,
                .place = 3,
                .on_resume = in_wall_time},
               &Options::time_unit_s, duration()),
      make_row({.name = "worker_timeout",
                .help = "Seconds (or 5m) after which a gradient that does not come takes its worker out of "
                        "the run (wall clock; default: 20 times the worker's mean, at least 5). What "
                        "--compute-time, --events and --throttle make of it is allowed besides",
                .section = machine,
                .place = 2,
                .on_replay = always,
                .on_resume = always},
               &Options::worker_timeout_s, duration()),
      make_row({.name = "seed",
                .help = "Of initialisation, partition, minibatches, delays and method",
                .section = method},
               &Options::seed, whole_number(std::uint64_t{0})),
      make_row({.name = "sampling",
                .help = "Minibatches of a worker: shuffle, replacement, sequential",
                .section = problem},
               &Options::sampling, words("HOW")),
      make_row({.name = "init",
                .help = "Start from this safetensors file (default: PyTorch's initialisation)",
                .section = problem,
                .place = 1,
                .on_resume = always},
               &Options::init, text("FILE")),
      make_row({.name = "eval_every",
                .help = "Evaluate every so many updates (500 or 500u) or every so much time of the run's own "
                        "clock (10s, 5m, 2h); the first and last model always are",
                .section = length,
                .on_replay = always,
                .on_resume = always},
               &Options::eval_every, period_or_never()),
      make_switch_row({.name = "eval_objective",
                       .help = "Evaluations also give f(x): the loss over the workers' training images, each "
                               "worker's mean weighing as much",
                       .section = length,
                       .on_replay = always,
                       .on_resume = always},
                      &Options::eval_objective),
      make_switch_row({.name = "eval_gradient",
                       .help = "Evaluations also give f(x) and ||grad f(x)||^2, computed on the host",
                       .section = length,
                       .on_replay = always,
                       .on_resume = always},
                      &Options::eval_gradient),
      make_row({.name = "eval_examples",
                .help = "Images that evaluations look at, at most: the first ones of the test set; for f, of "
                        "each worker's share (default: all)",
                .section = length,
                .on_replay = always,
                .on_resume = always},
               &Options::eval_examples, whole_number(std::uint64_t{1})),
      make_row({.name = "target_accuracy",
                .help = "Accuracy of an evaluation, in [0, 1]",
                .section = targets,
                .on_replay = unless_schedule_ends,
                .on_resume = always},
               &Options::target_accuracy, number_from_0_to_1()),
      make_row({.name = "target_loss",
                .help = "Loss of an evaluation, or less",
                .section = targets,
                .on_replay = unless_schedule_ends,
                .on_resume = always},
               &Options::target_loss, any_number()),
      make_row({.name = "target_gradient_norm_sq",
                .help = "||grad f||^2 of an evaluation, or less (needs --eval-gradient)",
                .section = targets,
                .on_replay = unless_schedule_ends,
                .on_resume = always},
               &Options::target_gradient_norm_sq, positive_number()),
  };
}

}  // namespace tardigrad
