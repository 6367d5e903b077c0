#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/fifo.h"
#include "runtime/device/stream.h"
#include "runtime/events/wall_events.h"
#include "runtime/execution/execution.h"
#include "runtime/execution/executor.h"
#include "runtime/execution/throttle.h"
#include "runtime/objective/objective.h"
#include "runtime/ranks/flights.h"
#include "runtime/ranks/job_places.h"
#include "runtime/ranks/rank_layout.h"
#include "runtime/ranks/rank_mail.h"
#include "runtime/ranks/run_ranks.h"
#include "runtime/ranks/servers/all_reduce_server.h"
#include "runtime/ranks/servers/server_of_ranks.h"
#include "runtime/ranks/servers/server_of_shards.h"
#include "runtime/ranks/workers/own_workers.h"
#include "runtime/server/replica.h"
#include "runtime/server/replica_snapshot.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// Has the server on rank 0 and the workers on other ranks (RankWorker), or on this one, too (OwnWorkers), in
/// wall and in virtual time.
///
/// A job is ordered where it begins, in virtual time, too: so all ranks compute at once, whatever the order
/// in which their gradients arrive, and what is thrown away meanwhile was computed for nothing. A gradient
/// is received into the memory that the server reads; a model is sent from its replica as soon as the server
/// has written that, once to a rank. A rank of this machine reads the replica itself, and writes its
/// gradients to memory that the server reads (SharedVectors), of which there is one for each worker.
///
/// Where every rank keeps the model (AllReduceServer), gradients stay where they are computed, and a job
/// starts from the model of its rank. Where the model is in shards (ServerOfShards), all vectors here are the
/// first one's parts.
///
/// The coordinator's thread alone speaks with the other ranks, whenever it waits: for an arrival, or for what
/// is to happen next. In wall time the server has a thread of its own beside it where vectors are large.
class RankExecutor final : public Executor {
 public:
  /// Holds what a run in wall time has besides.
  struct Wall {
    std::optional<Throttle> throttle;
    WallEvents& events;  ///< is told of complete gradients, and outlives the executor
    bool time_jobs;      ///< for computing_s()
  };

  /// `wall` is nothing where the order of arrivals is known beforehand. The transport and the objective
  /// outlive the executor.
  RankExecutor(const RunRanks& ranks, Objective& objective, ServerMemory memory,
               const ExecutionOptions& options, std::optional<Wall> wall);
  ~RankExecutor() override;
  RankExecutor(const RankExecutor&) = delete;
  RankExecutor& operator=(const RankExecutor&) = delete;

  ParameterServer& server() override { return *server_; }
  void carry_out(const Orders& orders, double lr) override;
  void arrive(int worker, const Job& job, Orders& orders, double lr) override;
  std::size_t capacity() const override { return 1; }
  std::optional<double> computing_s() const override { return computing_s_; }
  float collect() override { return losses_.pop(); }
  void retire_discarded(int worker) override;
  void lose(int worker, bool computes) override;
  std::optional<Failure> next_failure() override;
  bool is_healthy(int worker) override { return !state(worker).failed; }
  bool has_ended(int worker) override;
  std::vector<std::uint64_t> begin_snapshot(Snapshot& snapshot) override;
  std::size_t save_more(std::size_t vectors) override {
    return replica_snapshot_.save_more(vectors, *server_);
  }
  void restore_jobs(std::span<const std::vector<Job>> jobs, VectorFile& vectors,
                    std::span<const std::uint64_t> models) override;
  Device device(int worker) const override { return workers_[static_cast<std::size_t>(worker)].device; }
  void check() override {
    server_stream_.ref().check();
    server_->check();
  }
  bool drain(const DrainTimeout& timeout) noexcept override;

 private:
  struct ModelOfJob {
    std::uint64_t job;
    Replica* replica;
  };

  struct WorkerJobs {
    Fifo<ModelOfJob> models;
    Flights flights;
    Device device = {};   // of its rank, as the last answer has it
    bool failed = false;  // wall time
  };

  Flights& flights(int worker) { return state(worker).flights; }
  WorkerJobs& state(int worker) { return workers_[static_cast<std::size_t>(worker)]; }
  Flight wait_for(int worker);
  void make_server(const RunRanks& ranks, int workers, ServerMemory memory, const ServerOptions& options);
  void place_jobs(const Orders& orders);
  void apply(int worker, const Flight& flight, const Orders& orders, double lr);
  void start(int worker);
  void cancel(int worker);
  void discard(int worker);
  void forget(int worker, Flight& flight);
  void forget_all(int worker);
  void give_back(int worker, const Flight& flight);
  void release(Replica& replica);
  void take_answer(const RankAnswer& answer, Landing* landing, const std::string& failure);
  void finish(int worker, Flight& flight);
  bool look();
  void end_job(int worker, Flight& flight);
  void stretch(int worker, Flight& flight);
  bool end_stretched();
  bool look_until_drained(const DrainTimeout& timeout);

  RankLayout layout_;
  std::optional<Wall> wall_;
  std::vector<Shard> shards_;
  std::size_t dimension_;  // of the first, which is here
  Stream server_stream_;
  JobPlaces places_;  // outlives the replicas
  RankMail mail_;     // outlives the server, which may keep gradients' memory as rows
  std::unique_ptr<ParameterServer> server_;
  // The same, where it is of several ranks:
  ServerOfRanks* of_ranks_ = nullptr;
  AllReduceServer* all_reduce_ = nullptr;
  ServerOfShards* of_shards_ = nullptr;
  ReplicaPool replicas_;
  ReplicaSnapshot replica_snapshot_;
  std::vector<WorkerJobs> workers_;
  std::vector<Replica*> targets_;  // of the hand-overs that are being carried out; null: it is there
  std::vector<int> stretched_;     // workers whose job waits for a throttle to end it
  Fifo<float> losses_;
  std::optional<double> computing_s_;
  Fifo<Failure> failures_;
  std::optional<OwnWorkers> own_;  // last: its streams use the members above
};

}  // namespace tardigrad
