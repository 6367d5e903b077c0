#include "runtime/execution/execution.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "runtime/events/replayed_events.h"
#include "runtime/events/virtual_events.h"
#include "runtime/events/wall_events.h"
#include "runtime/execution/lookahead_executor.h"
#include "runtime/execution/streams/in_turn_executor.h"
#include "runtime/execution/streams/virtual_stream_executor.h"
#include "runtime/execution/streams/wall_stream_executor.h"

namespace tardigrad {
namespace {

/// A call of the host would stand between a worker's jobs where these follow each other on a GPU.
Completions completions_of(const ExecutionOptions& options, Device device, int workers) {
  if (options.completions) return *options.completions;
  if (options.hand_over_on_device) {
    return device.backend == Backend::cpu ? Completions::callback : Completions::polling;
  }
  return faster_completions(device, workers);
}

/// The order of arrivals is known before any number is.
std::unique_ptr<Executor> make_executor_of_known_order(Objective& objective, ServerMemory memory,
                                                       const Devices& devices,
                                                       const ExecutionOptions& options) {
  if (runs_ahead_on_threads(devices)) {
    return std::make_unique<LookaheadExecutor>(objective, devices.workers, memory, options.server,
                                               options.job);
  }
  return std::make_unique<VirtualStreamExecutor>(objective, devices, memory, options.server, options.job);
}

}  // namespace

bool runs_ahead_on_threads(const Devices& devices) {
  return devices.server.backend == Backend::cpu && devices.server_shards == 1;
}

RunEvents make_events(const Objective& objective, const Delays& delays, const EventScript& speeds,
                      const ExecutionOptions& options, Recording* replay) {
  const int workers = objective.workers();
  RunEvents made;
  made.stopwatch = std::make_unique<Stopwatch>();
  if (replay) {
    made.events = std::make_unique<ReplayedEvents>(*replay, workers);
  } else if (options.clock == ClockKind::virtual_time) {
    made.events = std::make_unique<VirtualEvents>(delays, speeds, workers,
                                                  sizeof(float) * static_cast<double>(objective.dimension()));
  } else {
    auto wall = std::make_unique<WallEvents>(*made.stopwatch, speeds, options.time_unit_s);
    made.wall = wall.get();
    made.events = std::move(wall);
    if (!options.hand_over_on_device) {
      made.health.emplace(delays, speeds, options.time_unit_s, workers, options.worker_timeout_s);
    }
    if (!delays.measured() || speeds.any()) {
      made.throttle.emplace(Throttle{delays, speeds, *made.stopwatch, options.time_unit_s});
    }
  }
  return made;
}

Execution make_execution(Objective& objective, ServerMemory memory, const Delays& delays,
                         const EventScript& speeds, const Devices& devices, const ExecutionOptions& options,
                         Recording* replay) {
  const Device first = devices.workers.front();
  const int workers = objective.workers();
  if (!objective.runs_on(first.backend)) {
    throw std::invalid_argument(fmt::format("the objective does not run on {}", first.name()));
  }
  RunEvents made = make_events(objective, delays, speeds, options, replay);
  std::unique_ptr<Executor> executor;
  if (made.wall) {
    WallStreamExecutor::Wall wall{.throttle = std::move(made.throttle),
                                  .events = *made.wall,
                                  .completions = completions_of(options, first, workers),
                                  .time_jobs = options.time_jobs};
    if (options.hand_over_on_device) {
      executor = std::make_unique<InTurnExecutor>(objective, devices, memory, options.server, options.job,
                                                  std::move(wall));
    } else {
      executor = std::make_unique<WallStreamExecutor>(objective, devices, memory, options.server, options.job,
                                                      std::move(wall));
    }
  } else {
    executor = make_executor_of_known_order(objective, memory, devices, options);
  }
  return {.stopwatch = std::move(made.stopwatch),
          .events = std::move(made.events),
          .executor = std::move(executor),
          .health = std::move(made.health),
          .server = devices.server};
}

}  // namespace tardigrad
