#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runtime/execution/job_options.h"
#include "runtime/execution/streams/gathered_arrivals.h"
#include "runtime/execution/streams/job_groups.h"
#include "runtime/execution/streams/stream_executor.h"

namespace tardigrad {

/// Computes in virtual time on streams, those of GPUs as a rule. The workers of a device share a few streams,
/// so that as many gradients are computed at once, and a job is enqueued when it arrives: one that is thrown
/// away is never computed, and the host runs ahead of the devices.
///
/// Arrivals are gathered until a job needs a model that one of them hands over, and told to the server at
/// once, which does plain steps in one pass over model and mean: as many at most as there are streams, and as
/// half the workers. Where the objective computes several gradients at once, jobs are gathered with their
/// arrivals, and those of a device started as one group on a stream, which the devices' streams take turns
/// at.
class VirtualStreamExecutor final : public StreamExecutor {
 public:
  /// The objective outlives the executor.
  VirtualStreamExecutor(Objective& objective, const Devices& devices, ServerMemory memory,
                        const ServerOptions& server, const JobOptions& job);
  ~VirtualStreamExecutor() override { VirtualStreamExecutor::drain({}); }
  VirtualStreamExecutor(const VirtualStreamExecutor&) = delete;
  VirtualStreamExecutor& operator=(const VirtualStreamExecutor&) = delete;

  void arrive(int worker, const Job& job, Orders& orders, double lr) override;
  void apply_planned() override;
  float collect() override;
  void lose(int worker, bool computes) override;
  Device device(int worker) const override { return streams_of(worker).now().device(); }
  void check() override;
  bool drain(const DrainTimeout& timeout) noexcept override;

 private:
  /// Are streams that take turns at groups.
  struct Streams {
    std::vector<JobGroups*> all = {};
    std::size_t turn = 0;
    /// Says which of the gathered arrivals is that of the first job that is added and not started.
    std::size_t first_unstarted = 0;

    JobGroups& now() const { return *all[turn]; }
  };

  Streams& streams_of(int worker) { return turns_[of_worker_[static_cast<std::size_t>(worker)]]; }
  const Streams& streams_of(int worker) const { return turns_[of_worker_[static_cast<std::size_t>(worker)]]; }
  void begin(const std::vector<int>&) override {}  // at the arrival
  void discard(int worker) override { release_oldest(worker); }
  /// Returns which of them are a device's; how many there are where none are.
  std::size_t turns_of(Device device) const;
  void start(Streams& streams);
  void forget_from(std::size_t arrival);
  void collect_loss();

  std::size_t most_gathered_;
  std::vector<std::unique_ptr<JobGroups>> streams_;
  std::vector<Streams> turns_;          // of each device's streams, or of each stream by itself
  std::vector<std::size_t> of_worker_;  // which of these compute its jobs
  GatheredArrivals gathered_;
  Fifo<JobGroups*> uncollected_;  // of the arrivals whose loss is not known yet
  Fifo<float> losses_;            // of those before them
};

}  // namespace tardigrad
