#pragma once

#include <memory>
#include <optional>

#include "runtime/device/devices.h"
#include "runtime/events/delays.h"
#include "runtime/events/event_script.h"
#include "runtime/events/event_source.h"
#include "runtime/events/recording.h"
#include "runtime/events/stopwatch.h"
#include "runtime/events/wall_events.h"
#include "runtime/events/worker_health.h"
#include "runtime/execution/completions.h"
#include "runtime/execution/executor.h"
#include "runtime/execution/job_options.h"
#include "runtime/execution/throttle.h"
#include "runtime/methods/method.h"
#include "runtime/objective/objective.h"
#include "runtime/server/server.h"

namespace tardigrad {

enum class ClockKind { wall, virtual_time };

/// In which time a run takes place, and what its server and its workers do.
struct ExecutionOptions {
  ServerOptions server;
  JobOptions job;
  ClockKind clock = ClockKind::wall;
  double time_unit_s = 1;                  ///< wall seconds of one unit of the delays
  std::optional<Completions> completions;  ///< in wall time; nothing: the faster one on the first device
  /// In wall time: workers make the updates by themselves, without the host, where the method says what each
  /// arrival leads to (InTurnExecutor). Nobody is taken out of such a run.
  bool hand_over_on_device = false;
  /// In wall time: take the times of GradientRecord, at the cost of two timed events a job.
  bool time_jobs = false;
  /// In wall time: seconds after which a job counts as hung (WorkerHealth).
  std::optional<double> worker_timeout_s;
};

/// What a run takes place on: what says what comes next, and what computes.
struct Execution {
  std::unique_ptr<Stopwatch> stopwatch;
  std::unique_ptr<EventSource> events;
  std::unique_ptr<Executor> executor;  // waits in its destructor for what still runs, and so goes first
  std::optional<WorkerHealth> health;  ///< tells workers that hang, in wall time
  Device server;
};

/// Holds what decides what comes next in a run.
struct RunEvents {
  std::unique_ptr<Stopwatch> stopwatch;
  std::unique_ptr<EventSource> events;
  WallEvents* wall = nullptr;          ///< the same, in wall time, in which others say what is complete
  std::optional<Throttle> throttle;    ///< where jobs are stretched in wall time
  std::optional<WorkerHealth> health;  ///< as Execution has it
};

/// Makes what decides what comes next in a run of that objective. All references outlive it, and so does
/// `replay`, which may be null.
RunEvents make_events(const Objective& objective, const Delays& delays, const EventScript& speeds,
                      const ExecutionOptions& options, Recording* replay);

/// Tells whether a run on these devices whose order of arrivals is known has a LookaheadExecutor.
bool runs_ahead_on_threads(const Devices& devices);

/// Makes the execution of a run. In wall time, on GPUs, and where the server has shards, workers and server
/// have streams (WallStreamExecutor, InTurnExecutor, VirtualStreamExecutor); in virtual time on the CPU,
/// threads compute ahead of the server (LookaheadExecutor). A recording is repeated like virtual time, in its
/// own order.
///
/// All references outlive it, and so does `replay`, which may be null. Throws DeviceError where a device or
/// its memory cannot be had, std::invalid_argument where the objective does not run on that backend.
Execution make_execution(Objective& objective, ServerMemory memory, const Delays& delays,
                         const EventScript& speeds, const Devices& devices, const ExecutionOptions& options,
                         Recording* replay = nullptr);

}  // namespace tardigrad
