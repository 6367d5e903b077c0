#pragma once

#include <memory>
#include <span>
#include <vector>

#include "runtime/base/fifo.h"
#include "runtime/device/devices.h"
#include "runtime/execution/executor.h"
#include "runtime/execution/stream_layout.h"
#include "runtime/objective/objective.h"
#include "runtime/server/parameter_server.h"
#include "runtime/server/replica.h"
#include "runtime/server/replica_snapshot.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// Workers and server on streams of their own, ordered by events: what wall time (WallStreamExecutor) and
/// virtual time (VirtualStreamExecutor) have in common. It has the server with its streams, and knows in
/// which replicas the models of jobs are.
class StreamExecutor : public Executor {
 public:
  ParameterServer& server() override { return *server_; }
  void carry_out(const Orders& orders, double lr) override;
  std::size_t capacity() const override { return layout_.streams * layout_.gradients(); }
  std::vector<std::uint64_t> begin_snapshot(Snapshot& snapshot) override;
  std::size_t save_more(std::size_t vectors) override {
    return replica_snapshot_.save_more(vectors, *server_);
  }
  void restore_jobs(std::span<const std::vector<Job>> jobs, VectorFile& vectors,
                    std::span<const std::uint64_t> models) override;

 protected:
  /// The objective outlives the executor.
  StreamExecutor(const Objective& objective, const Devices& devices, ServerMemory memory,
                 const ServerOptions& server, const StreamLayout& layout);

  /// Where a job has its model.
  struct ModelOfJob {
    std::uint64_t job;
    Replica* replica;
  };

  /// Returns the models of a worker's jobs, in their order.
  Fifo<ModelOfJob>& models_of(int worker) { return workers_[static_cast<std::size_t>(worker)].models; }
  const Fifo<ModelOfJob>& models_of(int worker) const {
    return workers_[static_cast<std::size_t>(worker)].models;
  }

  /// Returns where a worker's replicas are.
  ReplicaPool& replicas_of(int worker) { return *workers_[static_cast<std::size_t>(worker)].replicas; }

  /// Returns the replica that a job of that worker has its model in, and whether that is still to be written.
  virtual Replica& place_model(int worker, std::uint64_t version, bool& fresh) {
    return replicas_of(worker).take(version, fresh);
  }

  const StreamLayout& layout() const { return layout_; }
  std::size_t workers() const { return workers_.size(); }
  Device server_device() const { return server_streams_.front().device(); }

  /// Finds out where the models of hand-overs go, and throws jobs away.
  std::vector<Replica*>& place_jobs(const Orders& orders);

  /// Has the server carry out actions, up to a model of that version.
  void apply(std::span<const ArrivalActions> arrivals, std::uint64_t version);

  /// Has workers begin the oldest jobs that they have.
  virtual void begin(const std::vector<int>& workers) = 0;

  /// Throws the oldest job of a worker away.
  virtual void discard(int worker) = 0;

  /// Take note that a worker's oldest job, or its latest one, needs its model no more: whatever writes the
  /// replica next is ordered behind the gradient.
  void release_oldest(int worker) { release(worker, *models_of(worker).pop().replica); }
  void release_latest(int worker) { release(worker, *models_of(worker).pop_back().replica); }

  /// Throws DeviceError for the first failure of the server.
  void check_server() const;

  /// Blocks until the server's streams have come to their end.
  void drain_server() const noexcept;

  /// Returns the home of a device's replicas: the device whose streams write them.
  static Device home_of(Device device, const Devices& devices) {
    return devices.replicated ? device : devices.server;
  }

 private:
  struct WorkerModels {
    ReplicaPool* replicas = nullptr;
    Fifo<ModelOfJob> models = {};
  };

  ReplicaPool* find_replicas(Device device) const;
  void make_server(const Objective& objective, const Devices& devices, ServerMemory memory,
                   const ServerOptions& options);
  void make_replicated_server(const Objective& objective, const Devices& devices,
                              const ServerOptions& options);
  void release(int worker, Replica& replica);
  StreamRef server_stream(Device device) const;

  StreamLayout layout_;
  /// One, or one for each GPU that keeps the model, or one on which shards meet and one for each of them.
  std::vector<Stream> server_streams_;
  std::unique_ptr<ParameterServer> server_;
  std::vector<std::unique_ptr<ReplicaPool>> replicas_;  // one for each memory
  std::vector<WorkerModels> workers_;
  ReplicaSnapshot replica_snapshot_;
  std::vector<Replica*> targets_;  // of the hand-overs that are being carried out; null: it is there
};

}  // namespace tardigrad
