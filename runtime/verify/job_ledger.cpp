#include "runtime/verify/job_ledger.h"

#include <algorithm>
#include <limits>
#include <variant>

namespace tardigrad {

void JobLedger::start() {
  works_.assign(index(workers_), true);
  jobs_.assign(index(workers_), {});
  version_ = 0;
  version_known_ = false;
}

std::size_t JobLedger::outstanding() const {
  std::size_t count = 0;
  for (const auto& jobs : jobs_) count += jobs.size();
  return count;
}

std::vector<int> JobLedger::working() const {
  std::vector<int> working;
  for (int worker = 0; worker < workers_; ++worker) {
    if (works(worker)) working.push_back(worker);
  }
  return working;
}

std::vector<int> JobLedger::working_without_job() const {
  std::vector<int> waiting = working();
  std::erase_if(waiting, [this](int worker) { return has_job(worker); });
  return waiting;
}

void JobLedger::note_first_version(std::uint64_t version) {
  version_known_ = true;
  const std::uint64_t before = version - version_;
  version_ = version;
  for (auto& jobs : jobs_) {
    for (std::uint64_t& job : jobs) job += before;
  }
}

void JobLedger::arrive(const Arrival& arrival, Checks& checks) {
  auto& jobs = jobs_.at(index(arrival.worker));
  checks.require(works(arrival.worker), "no gradient comes of a worker that is lost");
  checks.require(!jobs.empty(), "a gradient comes of a job that was handed over: the worker has none");
  if (!version_known_) note_first_version(arrival.version + arrival.staleness);
  checks.require(arrival.version == jobs.front(),
                 "jobs end in the order of their hand-overs: expected that of version {}, found {}",
                 jobs.front(), arrival.version);
  checks.require(arrival.version <= version_ && arrival.staleness == version_ - arrival.version,
                 "staleness is k - version: expected {} - {}, found {}", version_, arrival.version,
                 arrival.staleness);
  checks.require(arrival.staleness <= most_staleness_, "no gradient is staler than {}: this one is {}",
                 most_staleness_, arrival.staleness);
  jobs.pop_front();
}

void JobLedger::lose(int worker, Checks& checks) {
  checks.require(works(worker), "only workers that work are lost");
  works_[index(worker)] = false;
  jobs_[index(worker)].clear();
}

void JobLedger::regain(int worker, Checks& checks) {
  checks.require(!works(worker), "only workers that are lost come back");
  works_[index(worker)] = true;
}

/// A worker that brings a discarded job to its end has begun none of those that it has.
void JobLedger::hand_over_late(int worker, Checks& checks) {
  checks.require(has_job(worker), "a late hand-over is one that was asked for: the worker has no job");
  std::ranges::fill(jobs_[index(worker)], version_);
}

void JobLedger::follow(std::span<const Action> actions, Checks& checks) {
  bool stepped = false;
  bool handed_over = false;
  for (const Action& action : actions) {
    if (std::holds_alternative<Step>(action)) {
      checks.require(!stepped, "k grows by one at most at a time: there is a second step");
      checks.require(!handed_over, "nobody is handed a model right before it moves on");
      stepped = true;
      ++version_;
    } else if (const auto* to = std::get_if<HandOver>(&action)) {
      hand_over(to->worker, checks);
      handed_over = true;
    } else if (const auto* discard = std::get_if<Discard>(&action)) {
      checks.require(has_job(discard->worker), "only jobs that there are are thrown away: worker {} has none",
                     discard->worker);
      jobs_[index(discard->worker)].pop_front();
    }
  }
  check_spread(checks);
}

void JobLedger::hand_over(int worker, Checks& checks) {
  checks.require(worker >= 0 && worker < workers_ && works(worker),
                 "no job for a worker that is lost: worker {}", worker);
  checks.require(spread_ == JobSpread::anywhere || !has_job(worker),
                 "one job a worker: worker {} has one already", worker);
  jobs_[index(worker)].push_back(version_);
}

void JobLedger::check_spread(Checks& checks) const {
  const std::size_t jobs = outstanding();
  const bool somebody_works = std::ranges::find(works_, true) != works_.end();
  checks.require(jobs > 0 || !somebody_works, "as long as somebody works, somebody has a job: nobody has");
  if (spread_ == JobSpread::anywhere) {
    const std::size_t expected = somebody_works ? index(workers_) : 0;
    checks.require(jobs == expected, "n jobs are outstanding: expected {}, found {}", expected, jobs);
  }
  if (spread_ != JobSpread::rounds) return;
  for (const auto& job : jobs_) {
    checks.require(job.empty() || job.front() == version_,
                   "all jobs of a round start from one model: expected version {}, found {}", version_,
                   job.empty() ? version_ : job.front());
  }
}

void JobLedger::visit_state(StateArchive& state) {
  state.number("version", version_, std::uint64_t{0}, StateArchive::any);
  state.flag("version_known", version_known_);
  state.flags("works", works_, index(workers_));
  std::vector<std::vector<std::uint64_t>> jobs;
  for (const auto& one : jobs_) jobs.emplace_back(one.begin(), one.end());
  state.lists("jobs", jobs, index(workers_));
  for (std::size_t i = 0; i < jobs.size(); ++i) jobs_[i].assign(jobs[i].begin(), jobs[i].end());
}

}  // namespace tardigrad
