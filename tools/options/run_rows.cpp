// The options that say what is run, in the order of its record.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "runtime/methods/method.h"
#include "tools/options/option_table.h"
#include "tools/options/run_option_types.h"

namespace tardigrad {

std::vector<OptionRow> run_rows() {
  using enum Section;
  using enum MayDiffer;
  using Options = TrainOptions;
  const std::string all_methods = fmt::format("{}", fmt::join(method_names(), ", "));
  return {
      make_row({.name = "model",
                .help = "logistic, mlp, cnn, resnet8, resnet18, mlp:WIDTH,WIDTH,..., "
                        "cnn:CHANNELS,...[:WIDTH,...], or FILE.toml, a network of your own (tardigrad "
                        "models); "
                        "quadratic:FILE.json, or quadratic:tridiagonal:D[:noise=X][:spread=Y], generated for "
                        "any number of --workers",
                .section = problem,
                .required = true},
               &Options::model, model_name()),
      make_row({.name = "dataset",
                .help = "fashion-mnist, mnist, cifar10 or cifar100; or your own: folder:PATH (images, a "
                        "subfolder a class), idx:FOLDER[/PREFIX], "
                        "npy:X.npy,Y.npy[,XTEST.npy,YTEST.npy], libsvm:FILE[,TESTFILE], "
                        "csv:FILE,label=COLUMN[,test=FILE] (not for a quadratic)",
                .section = problem},
               &Options::dataset, dataset_name()),
      make_where_row({.name = "data_dir",
                      .help = "Folder of its files (default: where tools/fetch_data.sh puts them)",
                      .section = problem},
                     &Options::data_dir, text("FOLDER")),
      make_row({.name = "method", .help = all_methods, .section = choice, .required = true}, &Options::method,
               method_name()),
      make_row({.name = "workers",
                .help = "Workers (default: one a device, or as --compute-time lists)",
                .section = machine,
                .on_resume = always},
               &Options::workers, whole_number(1, 1'000'000)),
      make_where_row({.name = "device",
                      .help = "auto, cpu, cpu:K (K CPU devices), cuda, cuda:0,1,...",
                      .section = machine},
                     &Options::device, words("DEVICES")),
      make_where_row(
          {.name = "workers_per_device",
           .help = "How many workers each device of --device has, such as 4,1 (default: as many each)",
           .section = machine},
          &Options::workers_per_device, words("N,N,...")),
      make_row({.name = "ranks",
                .help = "mpi: over the processes that mpirun starts. Rank 0 keeps the model, the others "
                        "compute the workers' gradients, each on its own --device (and rank 0, too, with "
                        "--workers-per-rank)",
                .section = ranks,
                .record = Record::none},
               &Options::ranks, ranks_over()),
      make_row(
          {.name = "workers_per_rank",
           .help = "How many workers each rank behind the server's has, such as 4,1, or each with rank 0, "
                   "such as 2,4,1 (default: as many each, and none on rank 0)",
           .section = ranks,
           .record = Record::none},
          &Options::workers_per_rank, words("N,N,...")),
      make_where_row(
          {.name = "server_device",
           .help = "Where the server is, such as cuda:0, with workers or without (default: first of "
                   "--device; with --ranks: the CPU)",
           .section = machine},
          &Options::server_device, words("DEVICE")),
      make_where_row(
          {.name = "server_shards",
           .help = "Cuts model and tables into so many parts, each with a stream of its own and the next "
                   "of the GPUs, the server's first, or on one of the first ranks (there on a GPU with "
                   "--server-device cuda:0). No bit depends on it",
           .section = machine},
          &Options::server_shards, whole_number(1, 1000)),
      make_row({.name = "sync_over",
                .help = "sync: server (default), or every GPU (nccl) or rank (mpi) keeps the model, and an "
                        "all-reduce adds up a round",
                .section = machine,
                .feature = Feature::all_reduce,
                .on_replay = always},
               &Options::sync_over, sync_over()),
      make_where_row(
          {.name = "gradient_route",
           .help = "Between the server's GPU and others: peer (its kernels use their memory), copy, or "
                   "auto: what is measured to be faster",
           .section = machine},
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
      make_where_row({.name = "cuda_graphs",
                      .help = "Networks on GPUs: relaunch steps as CUDA graphs, on or off",
                      .section = machine},
                     &Options::cuda_graphs, on_or_off()),
      make_row({.name = "partition",
                .help = "Training images of the workers: iid, dirichlet:ALPHA (class shares drawn per "
                        "worker), shards:K, file:ASSIGNMENT.csv (the worker of each), folders (as "
                        "folder:PATH has them in worker_0/, "
                        "worker_1/, ...)",
                .section = problem,
                .goes_with_workers = true},
               &Options::partition, words_or_file("HOW", "file:")),
      make_row(
          {.name = "problem_seed",
           .help = "Of the partition, and of how the workers of quadratic:tridiagonal differ, where runs "
                   "of several seeds are to have the same problem (default: --seed)",
           .section = problem,
           .place = 1},
          &Options::problem_seed, whole_number(std::uint64_t{0})),
      batch_size_row(
          {.name = "batch_size",
           .help = "Images per gradient: of all workers, or a list with one number for each. However many "
                   "a worker has, its gradient counts as one",
           .section = problem,
           .place = 1,
           .goes_with_workers = true}),
      make_switch_row({.name = "augment",
                       .help = "Crop training images at random (4 pixels of padding) and flip half of them",
                       .section = problem,
                       .place = 1},
                      &Options::augment),
      make_row({.name = "test_share",
                .help = "Own data without a test set: this share of every class becomes one (default 0.1); "
                        "with 0 the training set is tested on",
                .section = problem,
                .place = 1},
               &Options::test_share, share_below_1()),
      make_row(
          {.name = "normalise",
           .help = "measured (from the training set), none, or MEAN:DEVIATION, each a number or one for "
                   "every channel (default: usual values for known sets, none for libsvm, else measured)",
           .section = problem,
           .place = 1},
          &Options::normalise, words("HOW")),
      make_row({.name = "image_size",
                .help = "Folders of images: resize all to 32, or 48x64 (height x width); else all are to be "
                        "of one size",
                .section = problem,
                .place = 1},
               &Options::image_size, image_size()),
      make_row({.name = "colour",
                .help = "Folders of images: grey, rgb, or auto, grey where all images are",
                .section = problem,
                .place = 1},
               &Options::colour, colour()),
      make_switch_row({.name = "skip_broken",
                       .help = "Folders of images: leave out what cannot be decoded",
                       .section = problem,
                       .place = 1},
                      &Options::skip_broken),
      make_row({.name = "lr", .help = "Step size", .section = choice, .required = true, .on_resume = always},
               &Options::lr, positive_number()),
      make_row({.name = "gather",
                .help = "Gradients for one update: dude 1, ca2fl and fedbuff 10, msync and rennala n by "
                        "default (dude, msync: n at most); malenia: S, default 0",
                .section = method,
                .feature = Feature::gather,
                .goes_with_workers = true},
               &Options::gather, whole_number(0, 1'000'000'000)),
      make_row({.name = "delay_threshold",
                .help = "asgd-delay-adaptive, ringmaster: staleness from which a step is shortened, or a job "
                        "stopped (default n); aced: age in updates up to which a row counts (default 10 n)",
                .section = method,
                .feature = Feature::delay_threshold,
                .goes_with_workers = true},
               &Options::delay_threshold, whole_number(0)),
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
      make_row(
          {.name = "lost_rows",
           .help =
               "aced, ca2fl, dude, ia2sgd, mifa: the row of a worker that is lost stays in the mean (keep, "
               "default), or the mean is that of the others until the worker is back (drop)",
           .section = method,
           .feature = Feature::lost_rows},
          &Options::lost_rows, lost_rows()),
      make_row({.name = "local_steps",
                .help = "ca2fl, fedbuff: steps of SGD in a job (default 1)",
                .section = method,
                .feature = Feature::local_steps},
               &Options::local_steps, whole_number(1)),
      make_row({.name = "local_lr",
                .help = "ca2fl, fedbuff: step size of those",
                .section = method,
                .feature = Feature::local_steps},
               &Options::local_lr, positive_number()),
      make_row({.name = "optimizer",
                .help = "The server's step along a method's direction: sgd or adamw, as in PyTorch",
                .section = server},
               &Options::optimizer, optimizer()),
      make_row({.name = "beta1", .help = "adamw: of the first moment (default 0.9)", .section = server},
               &Options::beta1, share_below_1()),
      make_row({.name = "beta2", .help = "adamw: of the second moment (default 0.999)", .section = server},
               &Options::beta2, share_below_1()),
      make_row({.name = "epsilon", .help = "adamw: added to its root (default 1e-8)", .section = server},
               &Options::epsilon, positive_number()),
      make_row({.name = "momentum", .help = "Of the server's steps, as in PyTorch's SGD", .section = server},
               &Options::momentum, number_from_0_to_1()),
      make_row({.name = "weight_decay",
                .help = "Adds this much of the model to each direction",
                .section = server,
                .on_resume = always},
               &Options::weight_decay, number_from_0()),
      make_row({.name = "clip_norm",
                .help = "Scales longer directions down to this norm; asgd and asgd-uniform with it are "
                        "Clipped ASGD",
                .section = server,
                .on_resume = always},
               &Options::clip_norm, positive_number()),
      make_row({.name = "lr_schedule",
                .help = "constant, cosine (to 0 at the end of the run), step:EVERY:FACTOR (updates), "
                        "warmup:N (updates), warmup:N+cosine",
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
                        "permuted:A:B (in an order drawn); truncnorm:MEAN:STD; lognormal:MU:SIGMA; "
                        "pareto:SCALE:SHAPE; exponential:MEAN, each drawn once a worker; trace:FILE[+shift] "
                        "(recorded; begun somewhere in it). Noise per job: append +halfnormal[:STD|:worker] "
                        "or +exponential[:MEAN]. A link that all share, in virtual time: append "
                        "+network:LATENCY:BANDWIDTH (bytes a unit)",
                .section = machine,
                .on_resume = in_wall_time,
                .goes_with_workers = true},
               &Options::compute_time, words_or_file("TIMES", "trace:")),
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
      make_where_row(
          {.name = "completions",
           .help = "How the host learns that a gradient is complete (wall clock): polling, callback, or "
                   "auto, the faster one as measured at the start",
           .section = machine},
          &Options::completions, completions()),
      make_where_row(
          {.name = "hand_over",
           .help = "Wall clock, on one device: host (default) orders the updates, or each worker's stream "
                   "makes its own, in turn, and the host hears of them afterwards (device)",
           .section = machine,
           .feature = Feature::each_arrival},
          &Options::hand_over_on_device, host_or_device()),
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
