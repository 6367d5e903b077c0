#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "runtime/device/stream.h"
#include "runtime/ranks/servers/sum_over_ranks.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// Says how a rank keeps the model: on that device, where a GPU adds up over all ranks by NCCL, and a CPU by
/// messages.
struct KeptModel {
  ServerOptions options;
  Device device = {};
};

/// Keeps the model on a rank that computes gradients, and takes the steps that rank 0 orders
/// (AllReduceServer). Nothing blocks but join() and part(); while it is busy() it is not to be called.
class RankServer {
 public:
  /// Vectors are of that size; the transport outlives it.
  RankServer(Transport& transport, const KeptModel& kept, std::size_t dimension, int workers);

  /// Returns the stream that has its work.
  StreamRef stream() const { return stream_; }

  /// Makes what adds up over all ranks, as they all do; on a CPU it is there from the start. Throws
  /// DeviceError.
  void join();

  /// Destroys that, as they all do, when what is under way is over, or at once where some of them never come.
  void part(bool at_once);

  /// Begins to receive from rank 0 all that steps depend on, as of a version.
  void receive_state(std::uint64_t version);

  /// Adds weight·gradient to this rank's part of the sum; the first one behind a step begins a new sum.
  /// `taken`, an event of its device, is recorded behind that.
  void add_to_sum(float weight, BufferRef<const float> gradient, Event& taken);

  void scale_sum(double factor);

  /// Begins to add up the parts of all ranks, behind which comes a step of that size.
  void begin_step(double step_size);

  /// Copies the model into a replica, in the kernel of the step before it.
  void hand_over(Replica& replica);

  /// Tells whether vectors are on their way.
  bool busy();

  /// Throws DeviceError for a failure of this rank's GPU, for which all others would wait.
  void check() const;

 private:
  void apply(const Actions& behind, std::span<Replica* const> replicas, const ArrivedGradient* gradient);

  Transport& transport_;
  Stream stream_;
  Server server_;
  std::unique_ptr<SumOverRanks> sum_;
  bool has_sum_ = false;
  std::optional<double> step_;  // of that size, along the sum of all ranks
};

}  // namespace tardigrad
