#pragma once

#include <cstdint>
#include <functional>

/// What device code needs of the block it runs in. device_code.h gives it CUDA's names.
namespace tardigrad::emulation {

inline constexpr unsigned lanes_per_warp = 32;

/// Where a launch takes place, for messages.
struct LaunchShape {
  unsigned grid[3];
  unsigned block[3];
};

/// Runs a kernel on the calling thread: block after block, the threads of a block as fibers, each up to its
/// end or to a barrier. Ends the program with a message if a barrier is not reached by all threads it is for.
void run_grid(const LaunchShape& shape, const std::function<void()>& kernel);

/// __syncthreads(); returns how many threads of the block called it with a `predicate` that holds.
unsigned block_barrier(bool predicate = false);

/// What every lane of `mask` gave, once all have called it; of other lanes a pattern of ones. Valid until the
/// calling thread's next call.
const std::uint64_t* warp_gather(unsigned mask, std::uint64_t value);

/// The lane of the calling thread in its warp.
unsigned lane();

/// Lets the other threads of the block go on, or sleeps if there are none.
void nanosleep(unsigned nanoseconds);

}  // namespace tardigrad::emulation
