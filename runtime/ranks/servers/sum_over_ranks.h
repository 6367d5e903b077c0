#pragma once

#include <cstddef>
#include <memory>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"
#include "runtime/ranks/transport.h"

namespace tardigrad {

/// Adds up vectors over all ranks of a run. Each of them calls the same functions in the same order.
class SumOverRanks {
 public:
  SumOverRanks() = default;
  SumOverRanks(const SumOverRanks&) = delete;
  SumOverRanks& operator=(const SumOverRanks&) = delete;
  virtual ~SumOverRanks() = default;

  /// Begins vector ← the sum of everybody's, the same bits on each rank.
  virtual void add_up(BufferRef<float> vector) = 0;

  /// Begins vector ← that of rank 0.
  virtual void broadcast(BufferRef<float> vector) = 0;

  /// Tells whether vectors are on their way, which must not be used meanwhile. Those of a GPU never are:
  /// work behind on its stream finds them there.
  virtual bool busy() = 0;

  /// Throws DeviceError for a failure of what is under way.
  virtual void check() const {}

  /// Gives up what is under way on a GPU, to which other ranks may never come.
  virtual void abort() {}
};

/// Makes sums of vectors [dimension] in the memory of the stream's device, behind the work of that stream. On
/// a CPU the transport adds up. On GPUs NCCL does: every rank has one of its own, and rank 0 tells the others
/// how they find each other, when all have begun to make theirs. Transport and stream outlive it. Throws
/// DeviceError.
std::unique_ptr<SumOverRanks> make_sum_over_ranks(Transport& transport, StreamRef stream,
                                                  std::size_t dimension);

}  // namespace tardigrad
