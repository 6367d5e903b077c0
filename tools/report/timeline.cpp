#include "tools/report/timeline.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;

/// Fewer where there are many rows: about as many numbers in either case.
std::size_t cells_for(int rows) {
  return std::clamp<std::size_t>(2 * (10000 / static_cast<std::size_t>(rows)), 160, 1000);
}

/// What is beyond, no clock has shown; a log may say it all the same.
constexpr double most_ticks = 1e15;

/// The columns of one row of a window, in whole ticks. `gap` is since the end of the job before.
class WindowRow {
 public:
  template <typename Job>
  void add(const Job& job, double tick) {
    const auto ticks = [tick](double time) {
      const double count = time / tick;
      return std::abs(count) < most_ticks ? std::llround(count) : 0;
    };
    if (columns_.empty()) {
      columns_["job"] = job.job;
      columns_["end"] = ticks(job.start);
      for (const char* name : {"gap", "busy", "hand_over", "queue", "version", "staleness", "discarded"}) {
        columns_[name] = Json::array();
      }
      end_ = ticks(job.start);
    }
    const long long start = ticks(job.start);
    columns_["gap"].push_back(start - end_);
    end_ = ticks(job.end);
    columns_["busy"].push_back(end_ - start);
    columns_["hand_over"].push_back(ticks(job.hand_over));
    columns_["queue"].push_back(ticks(job.queue));
    columns_["version"].push_back(job.version - version_);
    columns_["staleness"].push_back(job.staleness);
    if (job.discarded) columns_["discarded"].push_back(count_);
    version_ = job.version;
    ++count_;
  }

  Json take() { return columns_.empty() ? Json(nullptr) : std::move(columns_); }

 private:
  Json columns_;
  long long end_ = 0;
  std::uint64_t version_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace

Timeline::Timeline(int workers)
    : workers_(workers),
      rows_(std::min(workers, most_rows)),
      until_(static_cast<std::size_t>(rows_)),
      unfinished_(static_cast<std::size_t>(rows_), std::numeric_limits<double>::quiet_NaN()),
      cells_a_row_(cells_for(rows_)),
      cells_(cells_a_row_ * static_cast<std::size_t>(rows_)) {}

/// Evenly chosen: row r shows worker ⌊r·n / rows⌋. Negative for a worker without one.
int Timeline::row_of(int worker) const {
  if (rows_ == workers_) return worker;
  const auto wide = [](int value) { return static_cast<std::int64_t>(value); };
  const auto row = static_cast<int>((wide(worker) * rows_ + workers_ - 1) / workers_);
  return row < rows_ && wide(row) * workers_ / rows_ == worker ? row : -1;
}

void Timeline::add_gradient(const GradientRecord& gradient) {
  const JobRecord& job = gradient.job;
  const int row = row_of(job.worker);
  if (row < 0) return;
  const double start = job.time - job.compute_time;
  const double begun = start + gradient.hand_over_time;
  add_to_cells(row, start, begun, handing_over);
  add_to_cells(row, begun, job.time, computing);
  add_to_cells(row, job.time, job.time + gradient.queue_time, queueing);
  keep({row, false, job.job, job.version, gradient.staleness, start, job.time, gradient.hand_over_time,
        gradient.queue_time});
}

void Timeline::add_discard(const JobRecord& job) {
  const int row = row_of(job.worker);
  if (row < 0) return;
  const double start = job.time - job.compute_time;
  add_to_cells(row, start, job.time, discarded);
  keep({row, true, job.job, job.version, 0, start, job.time, 0, 0});
}

void Timeline::add_unfinished(int worker, double start) {
  if (const int row = row_of(worker); row >= 0) unfinished_[static_cast<std::size_t>(row)] = start;
}

void Timeline::keep(const TimelineJob& job) {
  until_[static_cast<std::size_t>(job.row)] = job.end;
  busy_ += job.end - job.start;
  ++jobs_;
  if (first_.size() < window_jobs) {
    first_.push_back(job);
    return;
  }
  if (late_.size() < window_jobs) {
    late_.push_back(job);
  } else {
    TimelineJob& oldest = late_[late_count_ % window_jobs];
    lost_end_ = oldest.end;
    oldest = job;
  }
  ++late_count_;
}

void Timeline::add_to_cells(int row, double from, double to, Activity activity) {
  from = std::max(from, 0.0);
  if (!(to > from) || !std::isfinite(to)) return;
  while (to >= cell_width_ * static_cast<double>(cells_a_row_)) coarsen();
  Cell* const cells = &cells_[static_cast<std::size_t>(row) * cells_a_row_];
  const auto first = static_cast<std::size_t>(from / cell_width_);
  const auto last = std::min(static_cast<std::size_t>(to / cell_width_), cells_a_row_ - 1);
  for (std::size_t cell = first; cell <= last; ++cell) {
    const double begin = static_cast<double>(cell) * cell_width_;
    const double part = std::min(to, begin + cell_width_) - std::max(from, begin);
    cells[cell][activity] += static_cast<float>(part);
  }
}

void Timeline::coarsen() {
  cell_width_ *= 2;
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows_); ++row) {
    Cell* const cells = &cells_[row * cells_a_row_];
    for (std::size_t i = 0; i < cells_a_row_; ++i) {
      Cell merged{};
      if (2 * i + 1 < cells_a_row_) {
        for (std::size_t a = 0; a < activities; ++a) merged[a] = cells[2 * i][a] + cells[2 * i + 1][a];
      }
      cells[i] = merged;
    }
  }
}

/// About a thousandth of a job, a power of ten.
double Timeline::tick() const {
  const double mean = jobs_ > 0 ? busy_ / static_cast<double>(jobs_) : 0;
  return mean > 0 ? std::pow(10.0, std::floor(std::log10(mean)) - 3) : 1;
}

std::vector<const Timeline::TimelineJob*> Timeline::jobs_of_late() const {
  std::vector<const TimelineJob*> jobs;
  for (std::uint64_t i = late_count_ - late_.size(); i < late_count_; ++i) {
    jobs.push_back(&late_[i % window_jobs]);
  }
  return jobs;
}

/// All jobs that ended after `from`, up to the last of them.
Json Timeline::window(double from, const std::vector<const TimelineJob*>& jobs) const {
  std::vector<WindowRow> rows(static_cast<std::size_t>(rows_));
  for (const TimelineJob* job : jobs) rows[static_cast<std::size_t>(job->row)].add(*job, tick());
  Json columns = Json::array();
  for (WindowRow& row : rows) columns.push_back(row.take());
  return {{"from", from}, {"rows", std::move(columns)}};
}

/// A list of thousandths for each activity that there was.
Json Timeline::cells() const {
  constexpr std::array<const char*, activities> names = {"computing", "hand_over", "queue", "discarded"};
  Json rows = Json::array();
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows_); ++row) {
    Json columns = Json::object();
    for (std::size_t activity = 0; activity < activities; ++activity) {
      Json shares = Json::array();
      bool any = false;
      for (std::size_t i = 0; i < cells_a_row_; ++i) {
        const auto part = static_cast<double>(cells_[row * cells_a_row_ + i][activity]);
        any = any || part > 0;
        shares.push_back(std::lround(1000 * part / cell_width_));
      }
      if (any) columns[names[activity]] = std::move(shares);
    }
    rows.push_back(std::move(columns));
  }
  return {{"width", cell_width_}, {"rows", std::move(rows)}};
}

Json Timeline::json() const {
  Json rows = Json::array();
  for (int worker = 0; worker < workers_; ++worker) {
    if (row_of(worker) < 0) continue;
    const double unfinished = unfinished_[rows.size()];
    rows.push_back({{"worker", worker},
                    {"until", until_[rows.size()]},
                    {"unfinished", std::isnan(unfinished) ? Json(nullptr) : Json(unfinished)}});
  }
  std::vector<const TimelineJob*> jobs;
  for (const TimelineJob& job : first_) jobs.push_back(&job);
  const std::vector<const TimelineJob*> late = jobs_of_late();
  const bool all = late_count_ == late.size();
  if (all) jobs.insert(jobs.end(), late.begin(), late.end());
  Json windows = Json::array({window(0, jobs)});
  if (!all) windows.push_back(window(lost_end_, late));
  return {{"rows", std::move(rows)},
          {"tick", tick()},
          {"jobs", jobs_},
          {"windows", std::move(windows)},
          {"cells", all ? Json(nullptr) : cells()}};
}

}  // namespace tardigrad
