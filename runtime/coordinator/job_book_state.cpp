// What a checkpoint holds of the jobs of all workers.

#include <optional>

#include "runtime/base/state_column.h"
#include "runtime/coordinator/job_book.h"

namespace tardigrad {
namespace {

constexpr int most_late_hand_overs = 1000;  // of a worker; there is one mostly

/// [first of a bucket, count, …], behind the maximum.
std::vector<std::uint64_t> numbers_of(const Histogram& histogram) {
  std::vector<std::uint64_t> numbers{histogram.max()};
  histogram.for_each([&](std::uint64_t first, std::uint64_t count) {
    numbers.push_back(first);
    numbers.push_back(count);
  });
  return numbers;
}

std::optional<Histogram> histogram_of(const std::vector<std::uint64_t>& numbers) {
  constexpr std::uint64_t largest = std::uint64_t{1} << 48;  // keeps a forged one small
  Histogram histogram;
  if (numbers.size() % 2 == 0) return std::nullopt;
  for (std::size_t i = 1; i + 1 < numbers.size(); i += 2) {
    if (numbers[i] > largest) return std::nullopt;
    histogram.add(numbers[i], numbers[i + 1]);
  }
  histogram.note_max(numbers.front());
  return histogram;
}

}  // namespace

void JobBook::visit_state(StateArchive& state, std::uint64_t version) {
  const std::size_t count = workers_.size();
  const auto column = [&](auto member, const auto& visit) {
    visit_column(
        count, [&](std::size_t i) -> auto& { return workers_[i].*member; }, visit);
  };
  const auto whole = [&](const char* name, auto member, auto most) {
    column(member, [&](auto& values) { state.numbers(name, values, count, decltype(most){0}, most); });
  };
  const auto real = [&](const char* name, double Worker::*member) {
    column(member, [&](auto& values) { state.reals(name, values, count); });
  };
  const auto flag = [&](const char* name, bool Worker::*member) {
    column(member, [&](auto& values) { state.flags(name, values, count); });
  };
  flag("computing", &Worker::computing);
  flag("discarding", &Worker::discarding);
  whole("late_hand_overs", &Worker::late_hand_overs, most_late_hand_overs);
  whole("handed_over", &Worker::handed_over, StateArchive::any);
  real("started_at", &Worker::started_at);
  whole("started_job", &Worker::started_job, StateArchive::any);
  real("busy_time", &Worker::busy_time);
  real("discarded_time", &Worker::discarded_time);
  whole("discarded_jobs", &Worker::discarded_jobs, StateArchive::any);
  real("hand_over_time", &Worker::hand_over_time);
  real("queue_time", &Worker::queue_time);
  visit_jobs(state, version);
}

void JobBook::visit_jobs(StateArchive& state, std::uint64_t version) {
  const std::size_t count = workers_.size();
  std::vector<std::vector<std::uint64_t>> jobs(count);
  std::vector<std::vector<std::uint64_t>> staleness;
  for (std::size_t i = 0; i < count; ++i) {
    workers_[i].jobs.for_each([&](const Job& job) { jobs[i].push_back(job.version); });
    staleness.push_back(numbers_of(workers_[i].staleness));
  }
  state.lists("jobs", jobs, count);
  state.lists("staleness", staleness, count);
  if (!state.restoring()) return;
  for (std::size_t i = 0; i < count; ++i) {
    Worker& worker = workers_[i];
    if (jobs[i].size() > worker.handed_over) state.refuse("jobs", "no more of them than were handed over");
    std::uint64_t number = worker.handed_over - jobs[i].size();
    for (const std::uint64_t of_job : jobs[i]) {
      if (of_job > version) state.refuse("jobs", "no version above the model's");
      worker.jobs.push({number++, of_job});
    }
    const auto histogram = histogram_of(staleness[i]);
    if (!histogram) state.refuse("staleness", "a maximum, and pairs of value and count");
    worker.staleness = *histogram;
    if (worker.computing && worker.jobs.empty()) state.refuse("computing", "a job where a worker computes");
  }
}

void JobBook::restore_numbers(StateArchive& state, int workers) {
  std::vector<std::uint64_t> handed_over;
  state.numbers("handed_over", handed_over, static_cast<std::size_t>(workers), std::uint64_t{0},
                StateArchive::any);
  for (std::size_t i = 0; i < std::min(handed_over.size(), workers_.size()); ++i) {
    workers_[i].handed_over = handed_over[i];
  }
}

}  // namespace tardigrad
