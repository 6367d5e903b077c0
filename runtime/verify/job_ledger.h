#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "runtime/base/state_archive.h"
#include "runtime/methods/method.h"
#include "runtime/verify/checks.h"

namespace tardigrad {

/// Keeps who has which jobs, as arrivals and actions alone tell it, and checks what holds of jobs whatever
/// the method: gradients come of jobs that were handed over, in their order, at versions that are counted
/// right; nobody who is lost has a job; jobs lie as ServerMemory::jobs says; as long as somebody works,
/// somebody has a job.
class JobLedger {
 public:
  /// Makes a ledger in which no gradient may be staler than `most_staleness` when it arrives.
  JobLedger(int workers, JobSpread spread, std::uint64_t most_staleness)
      : workers_(workers), spread_(spread), most_staleness_(most_staleness) {}

  /// Lets all workers work, without a job.
  void start();

  void arrive(const Arrival& arrival, Checks& checks);
  void lose(int worker, Checks& checks);
  void regain(int worker, Checks& checks);
  void hand_over_late(int worker, Checks& checks);

  /// Follows the actions of one call.
  void follow(std::span<const Action> actions, Checks& checks);

  int workers() const { return workers_; }
  std::uint64_t version() const { return version_; }  ///< k; before the first arrival: steps since the start
  bool works(int worker) const { return works_[index(worker)]; }
  bool has_job(int worker) const { return !jobs_[index(worker)].empty(); }
  /// Returns the version of the worker's oldest job, which it must have.
  std::uint64_t job_version(int worker) const { return jobs_[index(worker)].front(); }
  std::size_t outstanding() const;

  /// Returns the workers that work, in ascending order.
  std::vector<int> working() const;
  std::vector<int> working_without_job() const;

  void visit_state(StateArchive& state);

 private:
  static std::size_t index(int worker) { return static_cast<std::size_t>(worker); }
  void note_first_version(std::uint64_t version);
  void hand_over(int worker, Checks& checks);
  void check_spread(Checks& checks) const;

  int workers_;
  JobSpread spread_;
  std::uint64_t most_staleness_;
  std::vector<bool> works_;
  std::vector<std::deque<std::uint64_t>> jobs_;  // the versions that they start from
  std::uint64_t version_ = 0;
  bool version_known_ = false;  // a run may go on from a model that has a version already
};

}  // namespace tardigrad
