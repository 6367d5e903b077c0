#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/base/fifo.h"
#include "runtime/device/devices.h"
#include "runtime/execution/completions.h"
#include "runtime/execution/executor.h"
#include "runtime/execution/gradient_stream.h"
#include "runtime/execution/throttle.h"
#include "runtime/objective/objective.h"
#include "runtime/server/parameter_server.h"
#include "runtime/server/replica.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// Workers and server on streams of their own, ordered by events: wall time on any backend, virtual time on
/// GPUs.
///
/// In wall time each worker has a stream, and its job starts at the hand-over. In virtual time the workers of
/// a device share a few, so that as many gradients are computed at once, and a job is enqueued when it
/// arrives: one that is thrown away is never computed, and the host runs ahead of the devices.
class StreamExecutor final : public Executor {
 public:
  /// Of wall time.
  struct Wall {
    std::optional<Throttle> throttle;
    std::function<void(int worker)> on_complete;  ///< called from any thread, or by poll()
    Completions completions;
    bool time_jobs;  ///< for computing_s()
  };

  /// `wall` is nothing in virtual time. The objective outlives the executor.
  StreamExecutor(Objective& objective, const Devices& devices, ServerMemory memory,
                 const ServerOptions& server, const JobOptions& job, std::optional<Wall> wall);
  ~StreamExecutor() override;
  StreamExecutor(const StreamExecutor&) = delete;
  StreamExecutor& operator=(const StreamExecutor&) = delete;

  /// In wall time with Completions::polling: calls on_complete for every job that has been completed since.
  void poll();

  void set_model(std::span<const float> values) override { server_->set_model(values); }
  void act(const Actions& actions, double lr) override;
  void arrive(int worker, const Actions& actions, double lr) override;
  std::size_t capacity() const override { return capacity_; }
  std::optional<double> computing_s() const override { return computing_s_; }
  float collect() override;
  void discarded_is_over(int worker) override;
  void read_model(std::span<float> values) override { server_->read_model(values); }
  void read_mean_and_rows(const VectorVisitor& mean, const VectorVisitor& row) override {
    server_->read_mean_and_rows(mean, row);
  }
  std::uint64_t version() const override { return server_->version(); }
  std::optional<double> largest_drift() override { return server_->largest_drift(); }
  Device device(int worker) const override { return state(worker).stream->device(); }
  bool at_rest() const override { return server_->at_rest(); }
  std::vector<std::uint64_t> begin_snapshot(Snapshot& snapshot) override;
  std::size_t save_more(std::size_t vectors) override;
  void visit_state(StateArchive& state) override { server_->visit_state(state); }
  void restore(VectorFile& vectors, std::uint64_t version, std::span<const JobsOfWorker> jobs,
               std::span<const std::uint64_t> models, ParameterServer::Restored what) override;
  void go_on() override;
  void lose(int worker) override;
  std::optional<Failure> next_failure() override;
  bool is_healthy(int worker) override;
  bool has_ended(int worker) override;
  void check() override;
  bool drain(const DrainTimeout& patience) noexcept override;

 private:
  struct Job {
    std::uint64_t number;
    Replica* replica;
  };
  struct WorkerJobs {
    GradientStream* stream = nullptr;
    ReplicaPool* replicas = nullptr;
    Fifo<Job> jobs;
    std::uint64_t handed_over = 0;
    bool computing = false;  // the first is on the stream
    bool failed = false;     // wall time: nothing of the stream is used any more
  };

  WorkerJobs& state(int worker) { return workers_[static_cast<std::size_t>(worker)]; }
  const WorkerJobs& state(int worker) const { return workers_[static_cast<std::size_t>(worker)]; }
  void make_server(const Objective& objective, const Devices& devices, ServerMemory memory,
                   const ServerOptions& options);
  void resolve(const Actions& actions);
  void apply(const Actions& actions, double lr, const ArrivedGradient* gradient);
  void start(int worker);
  void start_if_waiting(int worker);
  void start_handed_over(const Actions& actions);
  void collect_loss();
  std::string describe_failure(int worker, const DeviceError& error) const;
  void fail(int worker, const DeviceError& error);
  void check_server() const;
  void check_workers();
  void discard(int worker);
  void job_is_over(WorkerJobs& jobs);
  void release(const WorkerJobs& worker, Replica& replica);
  StreamRef server_stream(Device device) const;
  void show_pauses_to_devices();

  std::size_t capacity_;
  std::optional<Wall> wall_;
  std::optional<PinnedBuffer<PauseState>> pauses_;
  std::vector<Stream> server_streams_;  // one, or one for each GPU that keeps the model
  std::unique_ptr<ParameterServer> server_;
  std::uint64_t version_ = 0;
  std::vector<std::unique_ptr<GradientStream>> streams_;
  std::vector<std::unique_ptr<ReplicaPool>> replicas_;  // one for each memory
  std::vector<WorkerJobs> workers_;
  ReplicaSnapshot replica_snapshot_;
  std::vector<Replica*> resolved_;
  std::vector<int> polled_;            // workers whose completion is to be polled for
  Fifo<GradientStream*> uncollected_;  // of the arrivals whose loss is not known yet
  Fifo<float> losses_;                 // of those before them
  std::optional<double> computing_s_;
  Fifo<Failure> failures_;
};

}  // namespace tardigrad
