#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "runtime/device/stream.h"
#include "runtime/execution/gradient_jobs.h"
#include "runtime/server/parameter_server.h"
#include "runtime/server/replica.h"

namespace tardigrad {

/// Computes the gradients of jobs of several workers on a stream of its own, a group of jobs at a time, in
/// virtual time.
///
/// It only enqueues. On the stream a group is: gather its minibatches → wait until its models are in their
/// replicas, and until the server has read what the memory of its gradients held → gradients, all at once
/// where the objective can → completion event.
class JobGroups {
 public:
  struct Options {
    std::string name;
    Device server;
    JobOptions job;
    std::vector<int> workers;      ///< whose jobs it computes; of all where it is empty
    std::size_t group = 1;         ///< jobs at a time, at most
    std::size_t groups_ahead = 1;  ///< how many may be started before the first of them is over, ≥ 1
  };

  /// Memory is there when the constructor returns.
  JobGroups(Objective& objective, Device device, const Options& options);
  JobGroups(const JobGroups&) = delete;
  JobGroups& operator=(const JobGroups&) = delete;

  Device device() const { return stream_.device(); }
  StreamRef stream() const { return stream_; }

  /// Tells whether the group that is gathered must be started before another job can be added.
  bool group_is_full() const { return added_.size() == options_.group; }

  /// Tells whether a loss must be collected before another job can be added.
  bool busy() const { return started_ - over_ == groups_.size(); }

  /// Adds a job on the model in the replica, which the server has been told to write. Returns its gradient,
  /// as a server takes it that is told of all of a group, in their order, when the group is started.
  ArrivedGradient add(int worker, std::uint64_t number, const Replica& replica);

  /// Tells whether there are jobs to start.
  bool has_added() const { return !added_.empty(); }

  /// Starts the jobs that have been added. Throws DeviceError, which names a job: then they are gone.
  void start();

  /// Forgets them.
  void drop() { added_.clear(); }

  /// Lets a CPU stream leave out what it has not begun.
  void cancel() { cancelled_.request_stop(); }

  /// Waits for the loss of the oldest job of those started that was not collected yet, and returns it. Throws
  /// DeviceError.
  float collect();

 private:
  struct Group {
    Group(StreamRef stream, Device server, std::size_t dimension, std::size_t most_jobs);

    Event complete;  ///< recorded by the stream
    Event taken;     ///< recorded by the server when it has read the gradients
    std::deque<Buffer<float>> gradients;
    PinnedBuffer<float> losses;
    std::size_t jobs = 0;  ///< of it that are started
    std::size_t collected = 0;
  };

  Group& next() { return groups_[started_ % groups_.size()]; }
  void enqueue(std::span<const GradientJob> jobs, Group& group);

  Options options_;
  Stream stream_;
  GradientJobs gradients_;
  std::deque<Group> groups_;           // ring
  std::vector<GradientJob> added_;     // to the next group
  std::vector<const Event*> written_;  // the newest of their models
  std::uint64_t version_ = 0;          // of that
  std::stop_source cancelled_;
  std::uint64_t started_ = 0;  // groups
  std::uint64_t over_ = 0;     // likewise
};

}  // namespace tardigrad
