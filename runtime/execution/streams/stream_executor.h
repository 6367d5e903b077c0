#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "runtime/base/fifo.h"
#include "runtime/device/devices.h"
#include "runtime/events/wall_events.h"
#include "runtime/execution/completions.h"
#include "runtime/execution/executor.h"
#include "runtime/execution/gathered_arrivals.h"
#include "runtime/execution/gradient_stream.h"
#include "runtime/execution/job_options.h"
#include "runtime/execution/throttle.h"
#include "runtime/objective/objective.h"
#include "runtime/server/parameter_server.h"
#include "runtime/server/replica.h"
#include "runtime/server/replica_snapshot.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// Workers and server on streams of their own, ordered by events: wall time on any backend, virtual time on
/// GPUs.
///
/// In wall time each worker has a stream, and its job starts at the hand-over. In virtual time the workers of
/// a device share a few, so that as many gradients are computed at once, and a job is enqueued when it
/// arrives: one that is thrown away is never computed, and the host runs ahead of the devices. Arrivals are
/// gathered until a job needs a model that one of them hands over, and told to the server at once, which does
/// plain steps in one pass over model and mean: as many at most as there are streams, and as half the
/// workers.
class StreamExecutor final : public Executor {
 public:
  /// Holds what a run in wall time has besides.
  struct Wall {
    std::optional<Throttle> throttle;
    WallEvents& events;  ///< is told of complete gradients, and outlives the executor
    Completions completions;
    bool time_jobs;  ///< for computing_s()
  };

  /// `wall` is nothing in virtual time. The objective outlives the executor.
  StreamExecutor(Objective& objective, const Devices& devices, ServerMemory memory,
                 const ServerOptions& server, const JobOptions& job, std::optional<Wall> wall);
  ~StreamExecutor() override;
  StreamExecutor(const StreamExecutor&) = delete;
  StreamExecutor& operator=(const StreamExecutor&) = delete;

  ParameterServer& server() override { return *server_; }
  void carry_out(const Orders& orders, double lr) override;
  void arrive(int worker, const Job& job, Orders& orders, double lr) override;
  std::size_t capacity() const override { return capacity_; }
  std::optional<double> computing_s() const override { return computing_s_; }
  void apply_planned() override;
  float collect() override;
  void retire_discarded(int worker) override;
  void lose(int worker, bool computes) override;
  std::optional<Failure> next_failure() override;
  bool is_healthy(int worker) override;
  bool has_ended(int worker) override;
  std::vector<std::uint64_t> begin_snapshot(Snapshot& snapshot) override;
  std::size_t save_more(std::size_t vectors) override {
    return replica_snapshot_.save_more(vectors, *server_);
  }
  void restore_jobs(std::span<const std::vector<Job>> jobs, VectorFile& vectors,
                    std::span<const std::uint64_t> models) override;
  Device device(int worker) const override { return state(worker).stream->device(); }
  void check() override;
  bool drain(const DrainTimeout& timeout) noexcept override;

 private:
  /// Where a job has its model.
  struct ModelOfJob {
    std::uint64_t job;
    Replica* replica;
  };
  struct WorkerJobs {
    GradientStream* stream = nullptr;
    ReplicaPool* replicas = nullptr;
    Fifo<ModelOfJob> models;
    bool failed = false;  // wall time: nothing of the stream is used any more
  };

  WorkerJobs& state(int worker) { return workers_[static_cast<std::size_t>(worker)]; }
  const WorkerJobs& state(int worker) const { return workers_[static_cast<std::size_t>(worker)]; }
  ReplicaPool* find_replicas(Device device) const;
  void make_server(const Objective& objective, const Devices& devices, ServerMemory memory,
                   const ServerOptions& options);
  void make_replicated_server(const Objective& objective, const Devices& devices,
                              const ServerOptions& options);
  void place_jobs(const Orders& orders);
  void apply(std::span<const ArrivalActions> arrivals, std::uint64_t version);
  void start(const std::vector<int>& workers);
  void start(int worker);
  void discard(int worker);
  void release_oldest(WorkerJobs& worker);
  void release(const WorkerJobs& worker, Replica& replica);
  void collect_loss();
  void poll();
  std::string describe_failure(int worker, const DeviceError& error) const;
  void fail(int worker, const DeviceError& error);
  void check_server() const;
  void check_workers();
  StreamRef server_stream(Device device) const;
  void show_pauses_to_devices();

  std::size_t capacity_;
  std::size_t most_gathered_;
  std::optional<Wall> wall_;
  std::optional<PinnedBuffer<PauseState>> pauses_;
  /// One, or one for each GPU that keeps the model, or one on which shards meet and one for each of them.
  std::vector<Stream> server_streams_;
  std::unique_ptr<ParameterServer> server_;
  std::vector<std::unique_ptr<GradientStream>> streams_;
  std::vector<std::unique_ptr<ReplicaPool>> replicas_;  // one for each memory
  std::vector<WorkerJobs> workers_;
  ReplicaSnapshot replica_snapshot_;
  std::vector<Replica*> targets_;      // of the hand-overs that are being carried out; null: it is there
  GatheredArrivals gathered_;          // virtual time
  std::vector<int> polled_;            // workers whose completion is to be polled for
  Fifo<GradientStream*> uncollected_;  // of the arrivals whose loss is not known yet
  Fifo<float> losses_;                 // of those before them
  std::optional<double> computing_s_;
  Fifo<Failure> failures_;
};

}  // namespace tardigrad
