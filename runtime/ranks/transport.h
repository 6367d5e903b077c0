#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tardigrad {

/// Carries bytes between the ranks of a job, the processes that MPI has started together. Messages of one
/// sender with one tag arrive in the order in which they were sent. One thread uses it.
class Transport {
 public:
  /// Names a transfer that has begun, until done() has said that it is over.
  using Transfer = std::uint32_t;

  /// Stands for the sender of a message that may come from any rank.
  static constexpr int any_rank = -1;

  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Returns which rank this process is, counted from 0, and size() how many there are.
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Returns the first of the ranks that are on the same machine as this one, and can map the same memory.
  virtual int first_on_machine_of(int rank) const = 0;

  /// Tells whether what is sent and received may lie in the memory of a GPU.
  virtual bool takes_gpu_memory() const { return false; }

  /// Begins to send; the bytes must stay as they are until it is done. Both sides know how many there are.
  virtual Transfer send(int to, int tag, const void* data, std::size_t bytes) = 0;

  /// Begins to receive; whoever asks for a message of any rank must find out from it whose it is.
  virtual Transfer receive(int from, int tag, void* data, std::size_t bytes) = 0;

  /// Gives up a receive that may never come to an end. It is forgotten, and its memory free, on return.
  virtual void cancel(Transfer receive) = 0;

  /// Begins to add up a vector over all ranks: sum ← everybody's values [count] added up, the same bits on
  /// each. All ranks begin theirs in the same order.
  virtual Transfer all_reduce(const float* values, float* sum, std::size_t count) = 0;

  /// Tells whether a transfer is over, and forgets it if so. It never blocks, and lets others come on.
  virtual bool done(Transfer transfer) = 0;

  /// Takes those out of `transfers` that are over, as done() does. Returns whether there were any.
  bool take_out_done(std::vector<Transfer>& transfers) {
    return std::erase_if(transfers, [this](Transfer one) { return done(one); }) > 0;
  }
};

}  // namespace tardigrad
