#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"
#include "runtime/execution/gradient_jobs.h"
#include "runtime/execution/job_options.h"
#include "runtime/objective/objective.h"
#include "runtime/ranks/messages.h"
#include "runtime/ranks/rank_vector.h"
#include "runtime/ranks/servers/rank_server.h"
#include "runtime/ranks/servers/shard_messages.h"
#include "runtime/ranks/shared_vectors.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/replica.h"
#include "runtime/server/shard.h"

namespace tardigrad {

/// Computes, on a rank of its own, the gradients of some of a run's workers as rank 0 orders them, and sends
/// each of them back, to every shard its part, or keeps it for the sum that all ranks add up. On rank 0's
/// machine it reads models and writes gradients where they are wanted (SharedVectors).
///
/// Jobs are computed on lanes, one for each CPU device that has a worker, or one for each worker of GPUs: in
/// the order of their orders, each as soon as its model is there. The minibatch of a lane with one worker is
/// gathered before that: behind the answer to the job before, while rank 0 is at work. One lane of a CPU
/// alone is this thread itself. What is sent and received lies in the host's memory, from where and to where
/// a GPU copies it; on this rank's first GPU where that keeps the model, or where the transport takes it from
/// there.
class RankWorker {
 public:
  /// Makes what computes for these workers. With `kept` this rank keeps the model, too, and its gradients
  /// stay here (AllReduceServer). The model is in `shards` shards, on as many ranks (ServerOfShards).
  /// Objective and transport outlive it.
  RankWorker(Transport& transport, Objective& objective, const std::vector<int>& workers,
             const std::vector<Device>& devices, const JobOptions& job,
             const std::optional<KeptModel>& kept = {}, std::size_t shards = 1);
  RankWorker(const RankWorker&) = delete;
  RankWorker& operator=(const RankWorker&) = delete;
  ~RankWorker();

  /// Does what rank 0 orders, until there is nothing more to do. Returns whether all ranks are there to leave
  /// the job together.
  bool serve();

 private:
  /// Is an answer, from the time that its gradient is computed until it has been sent.
  struct Result {
    Result(Device device, Device server) : taken(server), loss(device, 1) {}
    RankAnswer answer;
    ShardOrder header;                   // of the gradient, to other shards than rank 0's
    std::optional<RankVector> gradient;  // once there was one that is sent, or kept
    Event taken;                         // recorded by this rank's server when it has read that
    PinnedBuffer<float> loss;
    std::string failure;
    double began_s = 0;
    std::vector<Transport::Transfer> transfers = {};
  };

  struct Waiting {
    RankOrder order;
    bool left_out;
  };

  /// Holds what a job has in the memory of a GPU.
  struct OnGpu {
    OnGpu(const StreamRef& stream, std::size_t dimension)
        : model(stream, dimension), gradient(stream, dimension) {}
    Buffer<float> model;
    Buffer<float> gradient;
  };

  struct Lane {
    Lane(Objective& objective, Stream on, const JobOptions& job, std::span<const int> workers)
        : stream(std::move(on)), has_one_worker(workers.size() == 1), jobs(objective, stream, job, workers) {}
    bool is_over() const;
    Stream stream;
    bool has_one_worker;
    std::deque<Waiting> waiting;
    std::optional<RankOrder> current;
    std::unique_ptr<Result> result;  // of that
    std::atomic<bool> over = false;
    std::optional<std::uint64_t> gathered;  // of the job whose minibatch is there already
    std::optional<OnGpu> on_gpu;
    GradientJobs jobs;  // last: what is enqueued uses the members above
  };

  struct Model {
    Model(RankVector memory, Device server) : values(std::move(memory)), replica(values.ref(), server) {}
    RankVector values;
    Replica replica;  // in that memory
    std::vector<Transport::Transfer> arriving = {};
  };

  bool look();
  bool take_orders();
  void take(const RankOrder& order);
  void take_job(const RankOrder& order);
  bool is_there(const RankOrder& order);
  BufferRef<const float> model_of(const RankOrder& order);
  BufferRef<float> gradient_of(const RankOrder& order, Result& result);
  Device server_device() const { return server_ ? server_->stream().device() : Device{}; }
  RankVector make_vector() const;
  bool advance(Lane& lane);
  void begin(Lane& lane);
  void enqueue(Lane& lane, const RankOrder& order);
  void finish(Lane& lane);
  void leave_out(const RankOrder& order);
  void send(std::unique_ptr<Result> result, const void* payload);
  void send_to_shards(Result& result);
  bool settle_sent();
  std::unique_ptr<Result> take_result();
  std::unique_ptr<Result> take_kept(const RankOrder& order);
  Lane& lane_of(int worker) { return *lanes_[lane_of_worker_[static_cast<std::size_t>(worker)]]; }

  Transport& transport_;
  std::size_t dimension_;
  std::vector<Shard> shards_;            // by the ranks that keep them
  Device device_;                        // whose copies the host's vectors are to be fast for
  std::optional<SharedVectors> shared_;  // with rank 0
  std::optional<Stream> gpu_;            // has what is sent and received, where the transport takes that
  std::deque<Model> models_;             // by their slots
  std::vector<std::size_t> lane_of_worker_;
  std::optional<RankServer> server_;
  std::vector<std::unique_ptr<Result>> spare_;
  std::vector<std::unique_ptr<Result>> sent_;
  std::vector<std::unique_ptr<Result>> kept_;  // until the server adds them up
  RankOrder order_;                            // that is being received
  std::optional<Transport::Transfer> order_transfer_;
  bool ended_ = false;
  bool all_leave_ = true;
  std::vector<std::unique_ptr<Lane>> lanes_;  // last: their streams use the members above
};

}  // namespace tardigrad
