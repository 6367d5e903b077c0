#include "tools/outputs/worker_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <vector>

namespace tardigrad {
namespace {

constexpr std::size_t most_rows = 20;
constexpr std::size_t outer_rows = 7;  // the slowest, and as many of the fastest
constexpr std::size_t median_rows = most_rows - 2 * outer_rows;

struct WorkerRow {
  const WorkerRecord* worker = nullptr;
  const char* what = "";  // it is among all; empty where all are shown
};

std::vector<const WorkerRecord*> slowest_first(std::span<const WorkerRecord> workers) {
  std::vector<const WorkerRecord*> order;
  for (const WorkerRecord& worker : workers) {
    if (worker.jobs > 0) order.push_back(&worker);
  }
  std::ranges::stable_sort(order, std::ranges::greater(), &WorkerRecord::mean_compute_time);
  return order;
}

/// Those that have finished a job, where they are few; otherwise the slowest, the median and the fastest.
std::vector<WorkerRow> choose_rows(std::span<const WorkerRecord> workers) {
  std::vector<WorkerRow> rows;
  if (workers.size() <= most_rows) {
    for (const WorkerRecord& worker : workers) rows.push_back({&worker});
    return rows;
  }
  const std::vector<const WorkerRecord*> order = slowest_first(workers);
  if (order.size() <= most_rows) {
    for (const WorkerRecord* worker : order) rows.push_back({worker});
    return rows;
  }
  const auto add = [&](std::size_t first, std::size_t count, const char* what) {
    for (std::size_t i = first; i < first + count; ++i) rows.push_back({order[i], what});
  };
  add(0, outer_rows, "slowest");
  add((order.size() - median_rows) / 2, median_rows, "median");
  add(order.size() - outer_rows, outer_rows, "fastest");
  return rows;
}

std::string note_on_rows(std::span<const WorkerRecord> workers, std::size_t rows) {
  const auto idle = static_cast<std::size_t>(std::ranges::count(workers, 0U, &WorkerRecord::jobs));
  std::string note = fmt::format("{} of {} workers are shown", rows, workers.size());
  if (rows == most_rows && workers.size() - idle > most_rows) {
    note += fmt::format(": by mean compute time the {} slowest, the {} about the median and the {} fastest",
                        outer_rows, median_rows, outer_rows);
  }
  note += fmt::format("; {} are left out", workers.size() - rows);
  if (idle > 0) note += fmt::format(", {} of them without a gradient that came", idle);
  return note + " (--log has them all)\n";
}

}  // namespace

std::string worker_table(std::span<const WorkerRecord> workers, const char* time_unit) {
  std::string table =
      fmt::format("{:>6}  {:<8} {:>8} {:>18} {:>8} {:>10} {:>17}\n", "worker", "device", "jobs",
                  fmt::format("mean compute, {}", time_unit), "busy", "discarded", "staleness med/max");
  const std::vector<WorkerRow> rows = choose_rows(workers);
  for (const auto& [worker, what] : rows) {
    fmt::format_to(std::back_inserter(table), "{:>6}  {:<8} {:>8} {:>18.4g} {:>8} {:>10} {:>17}",
                   worker->worker, worker->device, worker->jobs, worker->mean_compute_time,
                   fmt::format("{:.0f} %", 100 * worker->busy_share),
                   fmt::format("{:.0f} %", 100 * worker->discarded_share),
                   fmt::format("{} / {}", worker->staleness.median(), worker->staleness.max()));
    if (*what != '\0') fmt::format_to(std::back_inserter(table), "  {}", what);
    table += '\n';
  }
  if (rows.size() < workers.size()) table += note_on_rows(workers, rows.size());
  return table;
}

}  // namespace tardigrad
