#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/execution/job_options.h"
#include "runtime/objective/objective.h"
#include "runtime/ranks/rank_mail.h"
#include "runtime/ranks/workers/rank_lanes.h"
#include "runtime/server/replica.h"

namespace tardigrad {

/// Computes the gradients of rank 0's own workers, beside the server: from the replicas themselves, into
/// memory from which the server reads them. No message is sent for them. The coordinator's thread looks after
/// it, and does none of its work.
class OwnWorkers final : private RankLanes::Owner {
 public:
  /// Is told of the end of a job, within look(), as RankMail::Listener has it.
  using OnAnswer = std::function<void(const RankAnswer&, Landing*, const std::string& failure)>;

  /// Makes what computes for these workers. The mail has the memory of gradients. It and the objective
  /// outlive this.
  OwnWorkers(RankMail& mail, Objective& objective, const std::vector<int>& workers,
             const std::vector<Device>& devices, const JobOptions& job, OnAnswer on_answer);

  /// Begins a job when the server has written its model, which stays as it is until the job's end.
  void start(int worker, std::uint64_t job, const Replica& model);

  /// Leaves a job out if it has not begun; it comes to its end all the same.
  void leave_out(int worker, std::uint64_t job) { lanes_.leave_out(worker, job); }

  /// Does what can be done at once. Returns whether that was anything.
  bool look() { return lanes_.look(); }

 private:
  struct Job {
    int worker;
    std::uint64_t number;
    const Replica* model;
    Landing* gradient;  // once it has begun
  };

  bool is_ready(const RankOrder& job) override;
  RankLanes::Place begin(const RankOrder& job) override;
  void end(const RankAnswer& answer, const std::string& failure) override;
  std::vector<Job>::iterator find(int worker, std::uint64_t number);

  RankMail& mail_;
  std::size_t dimension_;
  OnAnswer on_answer_;
  std::vector<Job> jobs_;  // that have not ended
  RankLanes lanes_;        // last: it uses the members above
};

}  // namespace tardigrad
