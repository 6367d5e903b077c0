#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "models/classification.h"
#include "runtime/coordinator/coordinator.h"
#include "runtime/device/device.h"
#include "runtime/device/devices.h"
#include "runtime/events/delays.h"
#include "runtime/events/event_script.h"
#include "runtime/events/recording.h"
#include "runtime/execution/memory_plan.h"
#include "runtime/methods/method.h"
#include "runtime/objective/objective.h"
#include "runtime/ranks/run_ranks.h"
#include "runtime/telemetry/run_log.h"
#include "tools/data/load_data.h"
#include "tools/options/train_options.h"
#include "tools/train/data_classes.h"
#include "tools/train/own_parts.h"

namespace tardigrad {

/// All that a Coordinator needs for a run.
struct RunSetup {
  Devices devices;
  std::unique_ptr<Objective> objective;
  const models::Classification* classification = nullptr;  ///< the objective, where it is one of data
  std::unique_ptr<Method> method;
  Delays delays;
  EventScript speeds;
  RunOptions options;
  MemoryPlan memory;                        ///< of this process
  std::vector<MemoryPlan> memory_of_ranks;  ///< of all of them, with --show-memory
  std::string network;             ///< Architecture::digest() of a network file; empty for other models.
  std::optional<RunRanks> ranks;   ///< nothing: all in this process
  std::vector<DataClass> classes;  ///< of the training data; none where it has none
  std::function<bool()> keeps_memory = {};  ///< as OwnParts has it
};

/// Tells whether the model is a quadratic problem.
bool is_quadratic(const TrainOptions& options);

/// Tells whether the model is an objective that the caller brings (OwnParts).
bool is_own_model(const TrainOptions& options);

/// Tells whether the run needs no data set.
bool has_no_data(const TrainOptions& options);

/// Tells whether there is no server, and an all-reduce adds up gradients over GPUs or ranks (--sync-over).
inline bool adds_up_by_all_reduce(const TrainOptions& options) {
  return options.sync_over.value_or(SyncOver::server) != SyncOver::server;
}

/// Returns what the run's own clock counts, for messages: "s" or "units".
const char* time_unit(const TrainOptions& options);

/// Gives what follows "quadratic:" in the name of such a model: a file, or the generated problem.
std::string quadratic_source(const TrainOptions& options);

/// Gives the options of a run's server.
ServerOptions server_options(const TrainOptions& options);

/// Gives the options of a run's method, for so many workers and, where they are known, times of their
/// gradients.
MethodOptions method_options(const TrainOptions& options, int workers, std::vector<double> compute_times);

/// The data set that the options name, which runs may share; null where the model needs none. Throws
/// std::invalid_argument.
std::shared_ptr<const data::Dataset> load_data(const TrainOptions& options,
                                               data::PixelAccess access = data::PixelAccess::read);

/// The devices of workers and server. `auto` falls back to the CPU where there is no GPU and says so on
/// stderr. Throws std::invalid_argument.
Devices choose_devices(const TrainOptions& options);

/// Makes a run of options that check_options() has passed, or the part of one of the `ranks`, if it is given.
/// Throws std::invalid_argument, also where devices have too little memory for it.
RunSetup set_up_run(const TrainOptions& options, const Devices& devices,
                    const std::shared_ptr<const data::Dataset>& dataset, const OwnParts& own = {},
                    Transport* ranks = nullptr);

/// The log of `--log`; null where none is asked for. `run_json` is that of log_record(); `after`: as RunLog
/// takes it. Throws std::invalid_argument.
std::unique_ptr<RunLog> make_log(const TrainOptions& options, const std::string& run_json,
                                 const std::optional<CheckpointRecord>& after = {});

/// x⁰: from `--init`, or the objective's own.
struct FirstModel {
  std::vector<float> values;
  std::string note;  ///< what was done to that of `--init`, in a line for people; empty if nothing was
};

/// Throws std::invalid_argument.
FirstModel first_model(const TrainOptions& options, const Objective& objective);

/// Trains from `model`, or goes on from a checkpoint, and leaves the final model there; a set-up serves one
/// run. Throws what Coordinator::run does. What a worker that hangs still uses is abandoned (abandoned.h).
RunSummary execute(const std::shared_ptr<const RunSetup>& setup, std::span<float> model,
                   std::vector<RunObserver*> observers, const std::stop_token& stop,
                   Recording* replay = nullptr, const Checkpoint* resume = nullptr);

/// The run as the members of a JSON object: its options and what came of them; the same for its replay.
std::string run_record(const TrainOptions& options, const RunSetup& setup);

/// The same for logs, with what was reckoned and measured for this run on this machine, and by which build,
/// when, where and how it was started. Nothing else may take these: repeated runs have others.
std::string log_record(const TrainOptions& options, const RunSetup& setup);

}  // namespace tardigrad
