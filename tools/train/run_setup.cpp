#include "tools/train/run_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "models/classification.h"
#include "models/quadratic.h"
#include "models/tridiagonal.h"
#include "runtime/base/say.h"
#include "runtime/checkpoint/model_import.h"
#include "runtime/coordinator/learning_rate.h"
#include "runtime/objective/epochs.h"
#include "tools/options/option_values.h"
#include "tools/train/abandoned.h"
#include "tools/train/build_info.h"
#include "tools/train/version.h"

namespace tardigrad {
namespace {

constexpr std::string_view quadratic_prefix = "quadratic:";

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

/// What follows "quadratic:": a file, or the generated problem.
std::string quadratic_source(const TrainOptions& options) {
  return options.model.substr(quadratic_prefix.size());
}

void require_agreement(int workers, int asked, const char* what, const std::string& whose) {
  if (asked != workers) refuse(fmt::format("{}: {} for the {} workers of {}", what, asked, workers, whose));
}

/// --workers, else as many as --compute-time lists, else one a device.
int count_workers(const TrainOptions& options, std::size_t devices) {
  if (options.workers) return *options.workers;
  return Delays::list_length(options.compute_time).value_or(static_cast<int>(devices));
}

std::unique_ptr<Objective> make_quadratic(const TrainOptions& options) {
  const std::string file = quadratic_source(options);
  if (models::is_tridiagonal(file)) {
    return std::make_unique<models::Tridiagonal>(models::parse_tridiagonal(file), options.workers.value(),
                                                 options.seed);
  }
  auto quadratic = std::make_unique<models::Quadratic>(models::load_quadratic(file));
  if (options.workers) require_agreement(quadratic->workers(), *options.workers, "--workers", file);
  return quadratic;
}

/// Scratch of cuDNN and cuBLASLt for each of the workers that share a GPU: of an eighth of the smallest GPU's
/// memory. All of that, not what is free: what algorithms fit must not change from run to run.
std::size_t workspace_limit(int workers, const std::vector<Device>& devices) {
  constexpr std::size_t mib = std::size_t{1} << 20;
  constexpr std::size_t most = 256 * mib;
  const std::size_t workers_each = (static_cast<std::size_t>(workers) + devices.size() - 1) / devices.size();
  std::size_t limit = most;
  for (const DeviceDescription& description : describe_devices()) {
    if (std::ranges::find(devices, description.device) == devices.end()) continue;
    limit = std::min(limit, description.memory_bytes / 8 / workers_each);
  }
  return std::max(limit, 16 * mib);
}

std::unique_ptr<models::Classification> make_classification(const TrainOptions& options,
                                                            const std::vector<Device>& devices,
                                                            std::shared_ptr<const data::Dataset> dataset) {
  models::ClassificationOptions classification;
  classification.workers = count_workers(options, devices.size());
  classification.batch_size = options.batch_size;
  classification.partition = data::parse_partition(options.partition);
  classification.sampling = data::parse_sampling(options.sampling);
  classification.seed = options.seed;
  classification.augment = options.augment;
  classification.evaluation_examples = options.eval_examples.value_or(0);
  classification.evaluation_device = devices.front();
  classification.network.precision = models::parse_precision(options.precision);
  classification.network.deterministic = options.deterministic;
  classification.network.graphs = options.cuda_graphs == "on";
  if (devices.front().backend == Backend::cpu) {
    classification.evaluation_threads = static_cast<int>(devices.size());
  } else {
    classification.network.workspace_limit = workspace_limit(classification.workers, devices);
  }
  models::Architecture architecture =
      models::make_architecture(options.model, dataset->train.shape, dataset->classes);
  return std::make_unique<models::Classification>(std::move(dataset), std::move(architecture),
                                                  classification);
}

/// Before any file is read.
void check_problem(const TrainOptions& options) {
  if (is_quadratic(options)) {
    if (!options.dataset.empty()) refuse("--dataset has no use with --model quadratic");
    if (options.augment) refuse("--augment has no use with --model quadratic, which has no images");
    if (options.precision != "fp32") {
      refuse(fmt::format("--precision {}: --model quadratic is computed in fp32", options.precision));
    }
    if (models::is_tridiagonal(quadratic_source(options))) {
      models::parse_tridiagonal(quadratic_source(options));
      if (!options.workers) refuse(fmt::format("--model {} needs --workers", options.model));
    }
    if (options.epochs) refuse("--epochs has no use with --model quadratic, which has no examples");
    if (options.target_accuracy) {
      refuse("--target-accuracy has no use with --model quadratic, which has no accuracy");
    }
    if (options.eval_examples) {
      refuse("--eval-examples has no use with --model quadratic, which has no images");
    }
    return;
  }
  if (options.dataset.empty()) refuse(fmt::format("--model {} needs a --dataset", options.model));
}

std::optional<LostRows> lost_rows(const TrainOptions& options) {
  if (!options.lost_rows) return std::nullopt;
  return *options.lost_rows == "drop" ? LostRows::drop : LostRows::keep;
}

MethodOptions method_options(const TrainOptions& options, int workers, std::vector<double> compute_times) {
  return {.workers = workers,
          .gather = options.gather,
          .delay_threshold = options.delay_threshold,
          .smoothness = has_feature(options.method, Feature::smoothness) ? options.smoothness : std::nullopt,
          .availability = options.availability,
          .lost_rows = lost_rows(options),
          .lr = options.lr,
          .seed = options.seed,
          .compute_times = std::move(compute_times)};
}

/// Calls visit(option, feature, flag) for every option that only methods with that feature have a use for.
template <typename Options, typename Visitor>
void visit_method_options(Options& options, const Visitor& visit) {
  visit(options.gather, Feature::gather, "--gather");
  visit(options.delay_threshold, Feature::delay_threshold, "--delay-threshold");
  visit(options.availability, Feature::availability, "--availability");
  visit(options.lost_rows, Feature::lost_rows, "--lost-rows");
  visit(options.local_steps, Feature::local_steps, "--local-steps");
  visit(options.local_lr, Feature::local_steps, "--local-lr");
  visit(options.table_dtype, Feature::table, "--table-dtype");
  visit(options.resum_every, Feature::table, "--resum-every");
  visit(options.sync_over, Feature::all_reduce, "--sync-over");
}

/// Also refuses what the method has no use for.
void check_method(const TrainOptions& options) {
  constexpr int any_number = 1 << 20;
  static_cast<void>(
      make_method(options.method, method_options(options, options.workers.value_or(any_number), {})));
  require_use(options, {options.method});
  if (options.local_steps.value_or(1) > 1 && !options.local_lr) refuse("--local-steps needs --local-lr");
  if (options.local_lr && options.local_steps.value_or(1) == 1) {
    refuse("--local-lr has no use with one local step; expected --local-steps 2 or more");
  }
}

RunOptions run_options(const TrainOptions& options, const Objective& objective) {
  RunOptions run;
  run.lr = options.lr;
  run.lr_schedule = options.lr_schedule;
  run.server = {.momentum = options.momentum,
                .weight_decay = options.weight_decay,
                .clip_norm = options.clip_norm,
                .table_type = options.table_dtype == "bf16" ? TableType::bf16 : TableType::f32,
                .resum_every = options.resum_every};
  run.job = {.local_steps = options.local_steps.value_or(1), .local_lr = options.local_lr.value_or(0)};
  run.clock = options.clock == "virtual" ? ClockKind::virtual_time : ClockKind::wall;
  run.time_unit_s = options.time_unit_s;
  run.worker_timeout_s = options.worker_timeout_s;
  if (options.completions != "auto") {
    run.completions = options.completions == "polling" ? Completions::polling : Completions::callback;
  }
  run.time_jobs = options.serve || !options.trace.empty() ||
                  (!options.log.empty() && parse_log_detail(options.log_detail) == LogDetail::jobs);
  run.max_updates = options.updates;
  if (options.epochs) run.max_gradients = gradients_in(*options.epochs, objective);
  if (options.time_limit) run.time_limit = *options.time_limit;
  run.target_accuracy = options.target_accuracy;
  run.target_loss = options.target_loss;
  run.target_gradient_norm_sq = options.target_gradient_norm_sq;
  run.evaluate_objective = options.eval_objective;
  run.evaluate_gradient = options.eval_gradient;
  run.estimate_smoothness = !options.smoothness && (is_quadratic(options) || options.init.empty());
  if (!options.eval_every.empty()) {
    const Period period = parse_period("--eval-every", options.eval_every);
    run.evaluate_every_updates = period.updates;
    run.evaluate_every_time = period.time;
  }
  return run;
}

/// On the backend of the workers.
Devices place(const TrainOptions& options, std::vector<Device> workers) {
  if (options.sync_over == "nccl") {
    if (workers.front().backend == Backend::cpu) {
      refuse(fmt::format("--sync-over nccl: works between GPUs, and the workers are on {}",
                         workers.front().name()));
    }
    if (!options.server_device.empty()) {
      refuse("--server-device has no use with --sync-over nccl: every GPU of a worker keeps the model");
    }
  }
  if (options.server_device.empty()) return workers;
  const Device server = parse_device("--server-device", options.server_device);
  if (server.backend != workers.front().backend) {
    refuse(fmt::format("--server-device {}: the workers are on {}; expected a device of that kind",
                       options.server_device, workers.front().name()));
  }
  return {std::move(workers), server};
}

std::optional<GradientRoute> forced_route(const TrainOptions& options) {
  if (options.gradient_route == "peer") return GradientRoute::peer;
  if (options.gradient_route == "copy") return GradientRoute::copy;
  return std::nullopt;
}

PlannedRun planned_run(const TrainOptions& options, const RunSetup& setup) {
  const Objective& objective = *setup.objective;
  PlannedRun planned;
  planned.dimension = objective.dimension();
  planned.workers = objective.workers();
  planned.memory = setup.method->memory();
  planned.server = setup.options.server;
  planned.job = setup.options.job;
  planned.devices = setup.devices;
  planned.wall = setup.options.clock == ClockKind::wall && options.replay.empty();
  planned.lookahead = !planned.wall && setup.devices.server.backend == Backend::cpu;
  planned.fixed_workers = is_quadratic(options) && !models::is_tridiagonal(quadratic_source(options));
  planned.engine = [&objective](Device device) { return objective.engine_memory(device); };
  return planned;
}

}  // namespace

bool is_quadratic(const TrainOptions& options) { return options.model.starts_with(quadratic_prefix); }

void check_options(const TrainOptions& options) {
  if (!options.updates && !options.epochs && !options.time_limit && !options.target_accuracy &&
      !options.target_loss && !options.target_gradient_norm_sq && options.replay.empty()) {
    refuse(
        "no end given: expected --updates, --epochs, --time-limit, --target-accuracy, --target-loss or "
        "--target-gradient-norm-sq");
  }
  if (options.target_accuracy && options.eval_every.empty()) refuse("--target-accuracy needs --eval-every");
  if (options.target_loss && options.eval_every.empty()) refuse("--target-loss needs --eval-every");
  if (options.target_gradient_norm_sq && (options.eval_every.empty() || !options.eval_gradient)) {
    refuse("--target-gradient-norm-sq needs --eval-every and --eval-gradient");
  }
  static_cast<void>(LearningRate(options.lr, options.lr_schedule));
  if (options.lr_schedule == "cosine" && !options.updates && !options.epochs && !options.time_limit) {
    refuse("--lr-schedule cosine needs the end of the run: --updates, --epochs or --time-limit");
  }
  if (options.clock == "virtual" && options.compute_time == "measured") {
    refuse("--clock virtual needs a delay model: --compute-time with anything but measured");
  }
  check_method(options);
  check_problem(options);
}

TrainOptions options_for_method(const TrainOptions& options, const std::string& method) {
  TrainOptions kept = options;
  kept.method = method;
  visit_method_options(kept, [&](auto& option, Feature feature, const char*) {
    if (!has_feature(method, feature)) option.reset();
  });
  return kept;
}

void require_use(const TrainOptions& options, const std::vector<std::string>& methods) {
  visit_method_options(options, [&](const auto& option, Feature feature, const char* flag) {
    const auto has = [feature](const std::string& method) { return has_feature(method, feature); };
    if (option && std::none_of(methods.begin(), methods.end(), has)) {
      require_feature(methods.front(), feature, flag);
    }
  });
}

std::shared_ptr<const data::Dataset> load_data(const TrainOptions& options) {
  if (is_quadratic(options)) return nullptr;
  const std::filesystem::path dir = options.data_dir.empty() ? data::default_data_dir(options.dataset)
                                                             : std::filesystem::path(options.data_dir);
  data::Dataset dataset = data::load_dataset(options.dataset, dir);
  if (options.eval_examples) dataset.test.keep_first(*options.eval_examples);
  return std::make_shared<const data::Dataset>(std::move(dataset));
}

Devices choose_devices(const TrainOptions& options) {
  std::vector<Device> devices = parse_devices(options.device);
  const bool on_cpu = devices.front().backend == Backend::cpu;
  if (on_cpu && options.precision != "fp32") {
    refuse(fmt::format("--precision {}: the run would be on the CPU, which computes in fp32",
                       options.precision));
  }
  if (options.device == "auto" && built_with_cuda && on_cpu) {
    say_line("running on the CPU (no GPU: {})", why_no_cuda());
  }
  return place(options, std::move(devices));
}

RunSetup set_up_run(const TrainOptions& options, const Devices& devices,
                    const std::shared_ptr<const data::Dataset>& dataset) {
  RunSetup setup;
  setup.devices = devices;
  setup.devices.replicated = options.sync_over == "nccl";
  if (is_quadratic(options)) {
    setup.objective = make_quadratic(options);
  } else {
    auto classification = make_classification(options, devices.workers, dataset);
    setup.classes = classes_of(*dataset, classification->shares());
    setup.objective = std::move(classification);
  }
  const int workers = setup.objective->workers();
  setup.delays = Delays::parse(options.compute_time, workers, options.seed);
  if (!options.events.empty()) setup.speeds = EventScript::read(options.events, workers);
  if (!options.throttle.empty()) setup.speeds.throttle(options.throttle, workers);
  const MethodOptions of_method = method_options(options, workers, setup.delays.fixed());
  setup.method = make_method(options.method, of_method);
  setup.options = run_options(options, *setup.objective);
  if (options.verify) {
    auto verified = std::make_unique<VerifiedMethod>(std::move(setup.method), options.method, of_method);
    setup.options.verified = verified.get();
    setup.method = std::move(verified);
  }
  PlannedRun planned = planned_run(options, setup);
  require_memory(planned);
  planned.server.routes = choose_routes(setup.devices, planned.dimension, forced_route(options));
  setup.options.server.routes = planned.server.routes;
  setup.memory = plan_memory(planned);
  return setup;
}

std::unique_ptr<RunLog> make_log(const TrainOptions& options, const std::string& run_json,
                                 const std::optional<CheckpointRecord>& after) {
  if (options.log.empty()) return nullptr;
  return std::make_unique<RunLog>(options.log, run_json, parse_log_detail(options.log_detail),
                                  options.log_rotation, after);
}

FirstModel first_model(const TrainOptions& options, const Objective& objective) {
  FirstModel model{std::vector<float>(objective.dimension()), ""};
  if (options.init.empty()) {
    objective.initialise(model.values, options.seed);
    return model;
  }
  const std::string done = import_model(options.init, objective.layout(), model.values);
  if (!done.empty()) model.note = fmt::format("--init {}: {}", options.init, done);
  return model;
}

RunSummary execute(const std::shared_ptr<const RunSetup>& setup, std::span<float> model,
                   std::vector<RunObserver*> observers, const std::stop_token& stop, Recording* replay,
                   const Checkpoint* resume) {
  auto coordinator =
      std::make_shared<Coordinator>(*setup->objective, *setup->method,
                                    make_execution(*setup->objective, setup->method->memory(), setup->delays,
                                                   setup->speeds, setup->devices, setup->options, replay),
                                    setup->options, std::move(observers));
  const struct Keep {  // however the run ends
    std::shared_ptr<const RunSetup> setup;
    std::shared_ptr<const Coordinator> coordinator;
    ~Keep() {
      if (!coordinator->hung()) return;
      abandon(setup);
      abandon(coordinator);
    }
  } keep{setup, coordinator};
  if (resume) coordinator->resume(*resume);
  return coordinator->run(model, stop);
}

std::string run_record(const TrainOptions& options, const RunSetup& setup) {
  auto record = nlohmann::ordered_json::parse(to_json(options));
  record["workers"] = setup.objective->workers();
  record["dimension"] = setup.objective->dimension();
  record["version"] = program_version;
  record["compute_times"] = setup.delays.base();
  for (const Device device : setup.devices.workers) record["devices"].push_back(device.name());
  if (!setup.devices.replicated) record["server"] = setup.devices.server.name();
  return record.dump();
}

std::string log_record(const TrainOptions& options, const RunSetup& setup) {
  auto record = nlohmann::ordered_json::parse(run_record(options, setup));
  for (const auto& [device, route] : setup.options.server.routes) {
    record["gradient_routes"][device.name()] = name_of(route);
  }
  for (const Device device : setup.memory.devices()) {
    record["memory_bytes"][device.name()] = setup.memory.total(device);
  }
  if (!setup.classes.empty()) record["classes"] = to_json(setup.classes);
  record["command"] = repeat_command(options);
  record["command_line"] = options.command_line;
  record["commit"] = commit_of_build();
  record["build"] = build_of_program();
  record.update(date_and_host());
  record["table"] = setup.method->memory().tables > 0;
  return record.dump();
}

}  // namespace tardigrad
