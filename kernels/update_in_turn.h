#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/operation.h"
#include "kernels/server_update.h"

/// Declares the server's update as workers' streams make it by themselves, without a host between a gradient
/// and the next model: each stream has the update of its own gradient behind that, and they take turns.
///
/// A turn is a number: updates count as made in the order of their turns, whatever overlaps in time. A stream
/// takes its turn when its gradient is there, and each part of mean and model goes from one turn to the next,
/// so that a later update follows an earlier one through memory. Every bit is that of one after another.
///
/// The host says how many turns may be taken, and learns from shared memory which worker had which.

namespace tardigrad {

/// Is what all streams share that take turns, in memory of their device but for `order`. It begins as zeros.
struct Turns {
  /// Counts turns, modulo 2³²: those taken in the lower half of the number, those that may be in the upper.
  std::uint64_t* gate = nullptr;
  std::uint32_t* over = nullptr;   ///< [UpdateInTurn::tiles()]: turns, modulo 2³², that are over for a part
  std::uint64_t* order = nullptr;  ///< [capacity], read by the host: see worker_of_turn()
  std::uint32_t capacity = 0;  ///< a power of two, more than there can be turns that the host has not seen
};

/// Is what a stream that takes turns has of its own, in memory of its device. It begins as zeros.
struct TurnOfStream {
  std::uint32_t begun = 0;     ///< blocks of the launch that have begun
  std::uint32_t ended = 0;     ///< those that have ended
  std::uint32_t decision = 0;  ///< of the launch, once one of its blocks has made it
  std::uint32_t turn = 0;
  std::uint32_t waits = 0;  ///< an update was refused, so that those behind it are no use
};

/// Makes an update when its turn comes, or none where no turn may be taken.
///
/// The stream goes on behind an update that is refused, with whatever lies behind it: the updates of its
/// later jobs are then left out, until one that is enqueued `again` gets its turn.
///
/// Streams that wait for each other on a GPU must not keep each other from running: the blocks of `streams`
/// launches fit there at once, so that those of the earliest turn always find room.
///
/// Errors: std::logic_error for an update but one that steps and hands over, with a fold that replaces its
/// row, or with none, and where a pointer is null; launch() also throws std::runtime_error with CUDA's text,
/// or where so many streams are too many for the GPU.
struct UpdateInTurn {
  static constexpr const char* name = "update_in_turn";

  /// Is how many elements go from one turn to the next at a time.
  static constexpr std::size_t tile = 2048;
  static constexpr std::size_t tiles(std::size_t dimension) { return (dimension + tile - 1) / tile; }

  ServerUpdate update;
  Turns turns;
  TurnOfStream* own = nullptr;
  std::uint64_t* refused =
      nullptr;  ///< read by the host: becomes job + 1 where the update of a job is refused
  std::uint64_t job = 0;
  std::uint32_t worker = 0;
  std::uint32_t streams = 1;  ///< that take turns
  bool again = false;         ///< the job's update was refused before

  /// Makes it on the calling thread, which waits for those of earlier turns.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const { return update.bytes(); }
  double flops() const { return update.flops(); }
};

/// Returns which worker had a turn that is over: the one in `entry`, which is Turns::order at the turn modulo
/// `capacity`. Returns −1 while it is not over.
inline std::int64_t worker_of_turn(std::uint64_t entry, std::uint64_t turn) {
  const bool is_over = static_cast<std::uint32_t>(entry >> 32) == static_cast<std::uint32_t>(turn + 1);
  return is_over ? static_cast<std::int64_t>(entry & 0xffffffffU) : -1;
}

/// Says how many turns may be taken, and tells how many have been. An update that has its turn is made.
struct LimitTurns {
  static constexpr const char* name = "limit_turns";

  std::uint64_t* gate = nullptr;   ///< Turns::gate
  bool close = false;              ///< no turn more than those that are taken
  std::uint32_t limit = 0;         ///< turns in all, modulo 2³²; at most 2³¹ − 1 more than are taken
  std::uint32_t* taken = nullptr;  ///< read by the host: becomes the turns that are taken, modulo 2³²

  /// Computes on the calling thread. It throws std::logic_error for a null pointer, as launch() does.
  void run() const;

  /// Enqueues one thread. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const { return 2 * sizeof(std::uint64_t); }
  double flops() const { return 0; }
};

}  // namespace tardigrad
