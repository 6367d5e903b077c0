#include "tools/train/run_setup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/classification.h"
#include "models/networks/built_in_networks.h"
#include "models/quadratic.h"
#include "models/tridiagonal.h"
#include "runtime/base/json_text.h"
#include "runtime/checkpoint/model_import.h"
#include "runtime/device/start_times.h"
#include "runtime/objective/epochs.h"
#include "runtime/ranks/execution_on_ranks.h"
#include "tools/data/load_data.h"
#include "tools/options/option_records.h"
#include "tools/train/abandoned.h"
#include "tools/train/build_info.h"
#include "tools/train/on_ranks.h"
#include "tools/train/version.h"

namespace tardigrad {
namespace {

constexpr std::string_view quadratic_prefix = "quadratic:";

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

void require_agreement(int workers, int asked, const char* what, const std::string& whose) {
  if (asked != workers) refuse(fmt::format("{}: {} for the {} workers of {}", what, asked, workers, whose));
}

void require_backend(const Objective& objective, const Devices& devices, const std::string& model) {
  for (const Device device : devices.workers) {
    if (!objective.runs_on(device.backend)) {
      refuse(fmt::format("--model {}: it is computed on CPUs, and a worker is on {}; expected --device cpu",
                         model, device.name()));
    }
  }
}

/// --workers, else as many as --workers-per-device gives the devices, or --batch-size or --compute-time
/// lists, else one a device.
int count_workers(const TrainOptions& options, const Devices& devices) {
  if (options.workers) return *options.workers;
  const auto places = static_cast<int>(devices.places());
  if (!options.workers_per_device.empty()) return places;
  const std::vector<int>& batch_sizes = options.batch_size.sizes();
  if (batch_sizes.size() > 1) return static_cast<int>(batch_sizes.size());
  return Delays::list_length(options.compute_time).value_or(places);
}

std::unique_ptr<Objective> make_quadratic(const TrainOptions& options) {
  const std::string file = quadratic_source(options);
  if (models::is_tridiagonal(file)) {
    models::TridiagonalOptions problem = models::parse_tridiagonal(file);
    problem.problem_seed = options.problem_seed;
    return std::make_unique<models::Tridiagonal>(problem, options.workers.value(), options.seed);
  }
  auto quadratic = std::make_unique<models::Quadratic>(models::load_quadratic(file));
  if (options.workers) require_agreement(quadratic->workers(), *options.workers, "--workers", file);
  return quadratic;
}

/// Scratch of cuDNN and cuBLASLt for each of the workers that share a GPU: of an eighth of the smallest GPU's
/// memory. All of that, not what is free: what algorithms fit must not change from run to run.
std::size_t workspace_limit(int workers, const Devices& devices) {
  constexpr std::size_t mib = std::size_t{1} << 20;
  constexpr std::size_t most = 256 * mib;
  std::size_t limit = most;
  for (const DeviceDescription& description : describe_devices()) {
    const std::size_t here = devices.workers_on(description.device, static_cast<std::size_t>(workers));
    if (here > 0) limit = std::min(limit, description.memory_bytes / 8 / here);
  }
  return std::max(limit, 16 * mib);
}

std::unique_ptr<models::Classification> make_classification(const TrainOptions& options,
                                                            const Devices& devices,
                                                            std::shared_ptr<const data::Dataset> dataset) {
  models::ClassificationOptions classification;
  classification.workers = count_workers(options, devices);
  if (!options.batch_size.good_for(classification.workers)) {
    refuse(fmt::format("--batch-size {}: {} sizes, and the run has {} workers",
                       fmt::join(options.batch_size.sizes(), ","), options.batch_size.sizes().size(),
                       classification.workers));
  }
  classification.batch_size = options.batch_size;
  classification.partition = data::parse_partition(options.partition);
  classification.sampling = data::parse_sampling(options.sampling);
  classification.partition_seed = options.problem_seed;
  classification.seed = options.seed;
  classification.augment = options.augment;
  classification.evaluation_examples = options.eval_examples.value_or(0);
  classification.evaluation_device = devices.workers.front();
  classification.network.precision = options.precision;
  classification.network.deterministic = options.deterministic;
  classification.network.graphs = options.cuda_graphs;
  classification.network.choose_anew = options.tune;
  classification.network.plan_folder = data::cache_folder("TARDIGRAD_PLANS", "plans").value_or("");
  if (devices.workers.front().backend == Backend::cpu) {
    classification.evaluation_threads = static_cast<int>(devices.workers.size());
  } else {
    classification.network.workspace_limit = workspace_limit(classification.workers, devices);
  }
  models::Architecture architecture =
      models::make_architecture(options.model, dataset->train.shape, dataset->classes);
  return std::make_unique<models::Classification>(std::move(dataset), std::move(architecture),
                                                  classification);
}

RunOptions run_options(const TrainOptions& options, const Objective& objective) {
  RunOptions run;
  run.lr = options.lr;
  run.lr_schedule = options.lr_schedule;
  run.server = server_options(options);
  run.job = {.local_steps = options.local_steps.value_or(1), .local_lr = options.local_lr.value_or(0)};
  run.clock = options.clock;
  run.time_unit_s = options.time_unit_s;
  run.worker_timeout_s = options.worker_timeout_s;
  run.completions = options.completions;
  run.hand_over_on_device = options.hand_over_on_device.value_or(false);
  run.time_jobs = options.serve || !options.trace.empty() ||
                  (!options.log.empty() && options.log_detail == LogDetail::jobs);
  run.max_updates = options.updates;
  if (options.epochs) run.max_examples = examples_in(*options.epochs, objective);
  if (options.time_limit) run.time_limit = *options.time_limit;
  run.target_accuracy = options.target_accuracy;
  run.target_loss = options.target_loss;
  run.target_gradient_norm_sq = options.target_gradient_norm_sq;
  run.evaluate_objective = options.eval_objective;
  run.evaluate_gradient = options.eval_gradient;
  run.estimate_smoothness = options.optimizer == Optimizer::sgd && !options.smoothness &&
                            (has_no_data(options) || options.init.empty());
  if (options.eval_every) {
    run.evaluate_every_updates = options.eval_every->updates;
    run.evaluate_every_time = options.eval_every->time;
  }
  return run;
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
  planned.in_turn = planned.wall && setup.options.hand_over_on_device;
  planned.lookahead = !planned.wall && runs_ahead_on_threads(setup.devices);
  planned.at_once = GradientJobs::at_once(objective, setup.devices.workers.front().backend, planned.job);
  planned.fixed_workers =
      is_own_model(options) || (is_quadratic(options) && !models::is_tridiagonal(quadratic_source(options)));
  if (setup.ranks) plan_for_rank(planned, *setup.ranks, setup.ranks->transport->rank());
  planned.engine = std::bind_front(&Objective::engine_memory, &objective);
  return planned;
}

}  // namespace

bool is_quadratic(const TrainOptions& options) { return options.model.starts_with(quadratic_prefix); }

bool is_own_model(const TrainOptions& options) { return options.model.starts_with(own_prefix); }

bool has_no_data(const TrainOptions& options) { return is_quadratic(options) || is_own_model(options); }

const char* time_unit(const TrainOptions& options) {
  return options.clock == ClockKind::wall ? "s" : "units";
}

std::string quadratic_source(const TrainOptions& options) {
  return options.model.substr(quadratic_prefix.size());
}

ServerOptions server_options(const TrainOptions& options) {
  const ServerOptions usual;
  return {.optimizer = options.optimizer,
          .momentum = options.momentum,
          .weight_decay = options.weight_decay,
          .beta1 = options.beta1.value_or(usual.beta1),
          .beta2 = options.beta2.value_or(usual.beta2),
          .epsilon = options.epsilon.value_or(usual.epsilon),
          .clip_norm = options.clip_norm,
          .table_type = options.table_dtype.value_or(TableType::f32),
          .resum_every = options.resum_every};
}

MethodOptions method_options(const TrainOptions& options, int workers, std::vector<double> compute_times) {
  return {.workers = workers,
          .gather = options.gather,
          .delay_threshold = options.delay_threshold,
          .smoothness = has_feature(options.method, Feature::smoothness) ? options.smoothness : std::nullopt,
          .availability = options.availability,
          .lost_rows = options.lost_rows,
          .lr = options.lr,
          .seed = options.seed,
          .compute_times = std::move(compute_times)};
}

std::shared_ptr<const data::Dataset> load_data(const TrainOptions& options, data::PixelAccess access) {
  const StartPart part("data");
  if (has_no_data(options)) return nullptr;
  data::Dataset dataset = load_dataset(options, access);
  if (options.eval_examples) dataset.test.keep_first(*options.eval_examples);
  return std::make_shared<const data::Dataset>(std::move(dataset));
}

RunSetup set_up_run(const TrainOptions& options, const Devices& devices,
                    const std::shared_ptr<const data::Dataset>& dataset, const OwnParts& own,
                    Transport* ranks) {
  RunSetup setup;
  setup.keeps_memory = own.keeps_memory;
  setup.devices = devices;
  setup.devices.replicated = options.sync_over == SyncOver::nccl && !ranks;
  setup.devices.server_shards = static_cast<std::size_t>(options.server_shards);
  if (is_quadratic(options)) {
    setup.objective = make_quadratic(options);
  } else if (is_own_model(options)) {
    setup.objective = own.objective(options);
    if (options.workers) {
      require_agreement(setup.objective->workers(), *options.workers, "--workers", options.model);
    }
    require_backend(*setup.objective, devices, options.model);
  } else {
    auto classification = make_classification(options, devices, dataset);
    setup.classes = classes_of(*dataset, classification->shares());
    if (models::is_network_file(options.model)) setup.network = classification->architecture().digest();
    setup.classification = classification.get();
    setup.objective = std::move(classification);
  }
  const int workers = setup.objective->workers();
  if (!options.workers_per_device.empty() && devices.places() != static_cast<std::size_t>(workers)) {
    refuse(fmt::format("--workers-per-device {}: {} in all, and the run has {} workers",
                       options.workers_per_device, devices.places(), workers));
  }
  if (ranks) setup.ranks = place_on_ranks(options, devices, *setup.objective, *ranks);
  setup.delays = Delays::parse(options.compute_time, workers, options.seed);
  if (!options.events.empty()) setup.speeds = EventScript::read(options.events, workers);
  if (!options.throttle.empty()) setup.speeds.throttle(options.throttle, workers);
  const MethodOptions of_method = method_options(options, workers, setup.delays.fixed());
  setup.method =
      is_own_method(options.method) ? own.method(of_method) : make_method(options.method, of_method);
  setup.options = run_options(options, *setup.objective);
  if (options.verify) {
    auto verified = std::make_unique<VerifiedMethod>(std::move(setup.method), options.method, of_method);
    setup.options.verified = verified.get();
    setup.method = std::move(verified);
  }
  PlannedRun planned = planned_run(options, setup);
  require_memory(planned);
  if (!ranks) {
    planned.server.routes = choose_routes(setup.devices, planned.dimension, options.gradient_route);
    setup.options.server.routes = planned.server.routes;
  }
  setup.memory = plan_memory(planned);
  if (ranks && options.show_memory) setup.memory_of_ranks = plan_memory_of_ranks(planned, *setup.ranks);
  return setup;
}

std::unique_ptr<RunLog> make_log(const TrainOptions& options, const std::string& run_json,
                                 const std::optional<CheckpointRecord>& after) {
  if (options.log.empty()) return nullptr;
  return std::make_unique<RunLog>(options.log, run_json, options.log_detail, options.log_rotation, after);
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
  Execution execution =
      setup->ranks ? make_execution_on_ranks(*setup->ranks, *setup->objective, setup->method->memory(),
                                             setup->delays, setup->speeds, setup->options, replay)
                   : make_execution(*setup->objective, setup->method->memory(), setup->delays, setup->speeds,
                                    setup->devices, setup->options, replay);
  auto coordinator = std::make_shared<Coordinator>(*setup->objective, *setup->method, std::move(execution),
                                                   setup->options, std::move(observers));
  const struct Keep {  // however the run ends
    std::shared_ptr<const RunSetup> setup;
    std::shared_ptr<const Coordinator> coordinator;
    ~Keep() {
      if (coordinator->hung()) {
        abandon(setup);
        abandon(coordinator);
      } else if (setup->keeps_memory && setup->keeps_memory()) {
        keep_for_ever(setup);
        keep_for_ever(coordinator);
      }
    }
  } keep{setup, coordinator};
  if (resume) coordinator->resume(*resume);
  return coordinator->run(model, stop);
}

std::string run_record(const TrainOptions& options, const RunSetup& setup) {
  auto record = parse_own_json<nlohmann::ordered_json>(to_json(options));
  record["workers"] = setup.objective->workers();
  record["dimension"] = setup.objective->dimension();
  if (!setup.network.empty()) record["network"] = setup.network;
  record["version"] = program_version;
  record["compute_times"] = setup.delays.base();
  for (const Device device : setup.devices.workers) record["devices"].push_back(device.name());
  if (!setup.devices.replicated) record["server"] = setup.devices.server.name();
  return json_text(record);
}

std::string log_record(const TrainOptions& options, const RunSetup& setup) {
  auto record = parse_own_json<nlohmann::ordered_json>(run_record(options, setup));
  for (const auto& [between, route] : setup.options.server.routes) {
    const std::string to =
        between.server == setup.devices.server ? "" : fmt::format(" to {}", between.server.name());
    record["gradient_routes"][between.workers.name() + to] = name_of(route);
  }
  for (const Device device : setup.memory.devices()) {
    record["memory_bytes"][device.name()] = setup.memory.total(device);
  }
  if (setup.ranks) record["rank_of_worker"] = setup.ranks->layout.of_workers();
  if (!setup.classes.empty()) record["classes"] = to_json(setup.classes);
  record["command"] = repeat_command(options);
  record["command_line"] = options.command_line;
  record["commit"] = commit_of_build();
  record["build"] = build_of_program();
  record.update(date_and_host());
  record["table"] = setup.method->memory().tables > 0;
  return json_text(record);
}

}  // namespace tardigrad
