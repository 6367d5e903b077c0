#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/device/event.h"
#include "runtime/device/stream.h"
#include "runtime/execution/gradient_jobs.h"
#include "runtime/execution/job_options.h"
#include "runtime/objective/objective.h"
#include "runtime/ranks/messages.h"

namespace tardigrad {

/// Computes the jobs of a rank's workers.
///
/// There is a lane for each CPU device that has a worker, or for each worker of GPUs. A lane computes jobs in
/// the order of their orders, each as soon as its owner has the model. The minibatch of a lane with one
/// worker is gathered before that, while rank 0 is at work. A GPU copies a job's model from where the owner
/// has it, and the gradient to there.
class RankLanes {
 public:
  /// Says where the vectors of a job [dimension] are, which stay there until its end.
  struct Place {
    BufferRef<const float> model;
    BufferRef<float> gradient;
    const Event* written = nullptr;  ///< of a GPU, behind which the model is there; null: it is
    const Event* taken = nullptr;    ///< likewise, behind which the gradient's memory is free
  };

  /// Has the vectors of jobs. It is called within look() alone.
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;

    /// Tells whether a job can begin, for which those behind it wait.
    virtual bool is_ready(const RankOrder& job) = 0;

    /// Says where a job that begins now has its vectors. It may throw DeviceError: the job has then failed.
    virtual Place begin(const RankOrder& job) = 0;

    /// Is told the end of a job. `failure` says in words why one has failed; rank and payload of the answer
    /// are left to the owner.
    virtual void end(const RankAnswer& answer, const std::string& failure) = 0;
  };

  /// Makes lanes for these workers. Where `by_caller` is true and there is one lane, of a CPU, it is the
  /// thread that calls look(). Objective and owner outlive it.
  RankLanes(Owner& owner, Objective& objective, const std::vector<int>& workers,
            const std::vector<Device>& devices, const JobOptions& job, bool by_caller);

  /// Adds a job behind those of its lane.
  void add(const RankOrder& job);

  /// Leaves a job out if it has not begun; it comes to its end all the same.
  void leave_out(int worker, std::uint64_t job);

  /// Does what can be done at once. Returns whether that was anything.
  bool look();

 private:
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
        : stream(std::move(on)),
          has_one_worker(workers.size() == 1),
          loss(stream.ref().device(), 1),
          jobs(objective, stream, job, workers) {}
    bool is_over() const;
    Stream stream;
    bool has_one_worker;
    std::deque<Waiting> waiting;
    std::optional<RankOrder> current;
    std::string failure;  // of that
    PinnedBuffer<float> loss;
    double began_s = 0;
    double computing_s = 0;
    std::atomic<bool> over = false;
    std::optional<std::uint64_t> gathered;  // of the job whose minibatch is there already
    std::optional<OnGpu> on_gpu;
    GradientJobs jobs;  // last: what is enqueued uses the members above
  };

  bool advance(Lane& lane);
  void begin(Lane& lane);
  void enqueue(Lane& lane);
  void finish(Lane& lane);
  Lane& lane_of(int worker) { return *lanes_[lane_of_worker_[static_cast<std::size_t>(worker)]]; }

  Owner& owner_;
  std::vector<std::size_t> lane_of_worker_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace tardigrad
