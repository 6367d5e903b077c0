#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "runtime/device/stream.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// Keeps the model on a rank that computes gradients, and takes the steps that rank 0 orders
/// (AllReduceServer). Nothing blocks; while it is busy() it is not to be called.
class RankServer {
 public:
  /// Vectors are of that size; the transport outlives it.
  RankServer(Transport& transport, Device device, std::size_t dimension, int workers,
             const ServerOptions& options);

  /// Begins to receive from rank 0 all that steps depend on, as of a version.
  void receive_state(std::uint64_t version);

  /// Adds weight·gradient to this rank's part of the sum; the first one behind a step begins a new sum.
  void add_to_sum(float weight, BufferRef<const float> gradient);

  void scale_sum(double factor);

  /// Begins to add up the parts of all ranks, behind which comes a step of that size.
  void begin_step(double step_size);

  /// Copies the model into memory of this rank [d], in the kernel of the step before it.
  void hand_over(BufferRef<float> model);

  /// Tells whether vectors are on their way.
  bool busy();

 private:
  void apply(const Actions& behind, std::span<Replica* const> replicas, const ArrivedGradient* gradient);

  Transport& transport_;
  Stream stream_;
  Server server_;
  Buffer<float> part_;  // of the sum that is being added up
  std::vector<Transport::Transfer> transfers_;
  bool has_sum_ = false;
  std::optional<double> step_;  // of that size, along the sum of all ranks
};

}  // namespace tardigrad
