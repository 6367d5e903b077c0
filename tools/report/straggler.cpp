#include "tools/report/straggler.h"

#include <algorithm>
#include <cstddef>

#include "tools/report/quartiles.h"

namespace tardigrad {
namespace {

GradientTime time_per_gradient(const WorkerTimes& worker) {
  const auto gradients = static_cast<double>(worker.gradients);
  return {worker.computing / gradients, worker.handing_over / gradients, worker.queueing / gradients};
}

template <typename Item, typename Value>
double median_of(const std::vector<Item>& items, const Value& value) {
  std::vector<double> values(items.size());
  std::transform(items.begin(), items.end(), values.begin(), value);
  return values.empty() ? 0 : quartiles(std::move(values)).median;
}

double idle_share(const WorkerTimes& worker) {
  return worker.time > 0 ? std::clamp(1 - worker.busy() / worker.time, 0.0, 1.0) : 0;
}

StragglerCause cause_of(const GradientTime& time, const GradientTime& median) {
  const double compute = time.computing - median.computing;
  const double transfer = time.handing_over - median.handing_over;
  const double queue = time.queueing - median.queueing;
  if (compute >= std::max(transfer, queue)) return StragglerCause::compute;
  return transfer >= queue ? StragglerCause::transfer : StragglerCause::queue;
}

/// Whether it means something that a worker has no gradient: most others have several.
bool have_begun(const std::vector<WorkerTimes>& workers) {
  return median_of(workers,
                   [](const WorkerTimes& worker) { return static_cast<double>(worker.gradients); }) >= 3;
}

/// Of the workers none of whose jobs came to its end, the one that was busy for longest; else who takes
/// longest for a gradient.
std::size_t slowest_of(const std::vector<WorkerTimes>& workers) {
  const bool stuck_counts = have_begun(workers);
  const auto slower = [stuck_counts](const WorkerTimes& a, const WorkerTimes& b) {
    const bool a_stuck = a.gradients == 0;
    const bool b_stuck = b.gradients == 0;
    if (a_stuck && b_stuck) return a.busy() < b.busy();
    if (a_stuck || b_stuck) return b_stuck == stuck_counts;
    return time_per_gradient(a).total() < time_per_gradient(b).total();
  };
  return static_cast<std::size_t>(std::ranges::max_element(workers, slower) - workers.begin());
}

}  // namespace

std::string to_string(StragglerCause cause) {
  switch (cause) {
    case StragglerCause::none:
      return "none";
    case StragglerCause::compute:
      return "compute";
    case StragglerCause::transfer:
      return "transfer";
    case StragglerCause::queue:
      return "queue";
    case StragglerCause::unfinished:
      return "unfinished";
  }
  return "none";
}

Straggler find_straggler(const std::vector<WorkerTimes>& workers) {
  const std::size_t slowest = slowest_of(workers);
  const WorkerTimes& worker = workers[slowest];
  std::vector<GradientTime> times;
  std::uint64_t gradients = 0;
  double others_idle = 0;
  for (const WorkerTimes& one : workers) {
    if (one.gradients > 0) times.push_back(time_per_gradient(one));
    gradients += one.gradients;
    if (&one != &worker) others_idle += idle_share(one);
  }
  Straggler straggler;
  straggler.worker = static_cast<int>(slowest);
  straggler.idle_share = idle_share(worker);
  if (workers.size() > 1) straggler.others_idle_share = others_idle / static_cast<double>(workers.size() - 1);
  if (times.empty()) return straggler;
  straggler.median = {median_of(times, [](const GradientTime& t) { return t.computing; }),
                      median_of(times, [](const GradientTime& t) { return t.handing_over; }),
                      median_of(times, [](const GradientTime& t) { return t.queueing; })};
  if (worker.gradients == 0) {
    if (have_begun(workers)) straggler.cause = StragglerCause::unfinished;
    return straggler;
  }
  straggler.time = time_per_gradient(worker);
  straggler.gradients_share = static_cast<double>(worker.gradients) / static_cast<double>(gradients);
  const double median = median_of(times, [](const GradientTime& t) { return t.total(); });
  if (median > 0) straggler.times_median = straggler.time.total() / median;
  if (straggler.times_median >= straggler_times_median) {
    straggler.cause = cause_of(straggler.time, straggler.median);
  }
  return straggler;
}

}  // namespace tardigrad
