#include "runtime/execution/execution.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "runtime/events/replayed_events.h"
#include "runtime/events/virtual_events.h"
#include "runtime/events/wall_events.h"
#include "runtime/execution/lookahead_executor.h"
#include "runtime/execution/stream_executor.h"

namespace tardigrad {
namespace {

/// The order of arrivals is known before any number is.
std::unique_ptr<Executor> make_executor_of_known_order(Objective& objective, ServerMemory memory,
                                                       const Devices& devices,
                                                       const ExecutionOptions& options) {
  if (devices.workers.front().backend == Backend::cpu) {
    return std::make_unique<LookaheadExecutor>(objective, devices.workers, memory, options.server,
                                               options.job);
  }
  return std::make_unique<StreamExecutor>(objective, devices, memory, options.server, options.job,
                                          std::nullopt);
}

}  // namespace

Execution make_execution(Objective& objective, ServerMemory memory, const Delays& delays,
                         const EventScript& speeds, const Devices& devices, const ExecutionOptions& options,
                         Recording* replay) {
  const Device first = devices.workers.front();
  const int workers = objective.workers();
  if (!objective.runs_on(first.backend)) {
    throw std::invalid_argument(fmt::format("the objective does not run on {}", first.name()));
  }
  Execution made{.stopwatch = std::make_unique<Stopwatch>(),
                 .events = nullptr,
                 .executor = nullptr,
                 .health = std::nullopt,
                 .server = devices.server};
  if (replay || options.clock == ClockKind::virtual_time) {
    if (replay) {
      made.events = std::make_unique<ReplayedEvents>(*replay, workers);
    } else {
      made.events = std::make_unique<VirtualEvents>(
          delays, speeds, workers, sizeof(float) * static_cast<double>(objective.dimension()));
    }
    made.executor = make_executor_of_known_order(objective, memory, devices, options);
    return made;
  }
  auto events = std::make_unique<WallEvents>(*made.stopwatch, speeds, options.time_unit_s);
  made.health.emplace(delays, speeds, options.time_unit_s, workers, options.worker_timeout_s);
  StreamExecutor::Wall wall{
      .throttle = std::nullopt,
      .events = *events,
      .completions = options.completions ? *options.completions : faster_completions(first, workers),
      .time_jobs = options.time_jobs};
  if (!delays.measured() || speeds.any()) {
    wall.throttle.emplace(Throttle{delays, speeds, *made.stopwatch, options.time_unit_s});
  }
  made.executor = std::make_unique<StreamExecutor>(objective, devices, memory, options.server, options.job,
                                                   std::move(wall));
  made.events = std::move(events);
  return made;
}

}  // namespace tardigrad
