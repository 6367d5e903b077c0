#include <algorithm>
#include <cuda/atomic>
#include <stdexcept>
#include <string>

#include "kernels/launch.cuh"
#include "kernels/server_update.cuh"
#include "kernels/update_in_turn_math.h"

namespace tardigrad {
namespace {

template <typename Number>
using OnDevice = cuda::atomic_ref<Number, cuda::thread_scope_device>;
template <typename Number>
using WithHost = cuda::atomic_ref<Number, cuda::thread_scope_system>;

constexpr std::size_t packs_per_thread = UpdateInTurn::tile / 4 / threads_per_block;
constexpr unsigned nap_ns = 20;  // between two looks at what other blocks may have changed
static_assert(packs_per_thread * 4 * threads_per_block == UpdateInTurn::tile);

/// Loads what no other worker writes, so that it is on its way before the turn comes.
template <typename S, int width>
__device__ GradientAndRow<S, width> load_own(const ServerUpdate& update, std::size_t i) {
  GradientAndRow<S, width> own;
  if constexpr (S::reads_gradient) own.gradient = load_streaming<width>(update.gradient + i);
  if constexpr (S::reads_row) own.row = load_streaming<width>(row_of<S>(update) + i);
  return own;
}

/// Updates `width` elements from `i` on, in the stream's turn.
template <typename S, int width>
__device__ void update_at(const ServerUpdate& update, const Weights& weights, std::size_t i,
                          GradientAndRow<S, width>& own) {
  Pack<float, width> u{};
  if constexpr (S::reads_mean) u = load<width>(update.mean + i);
  Pack<float, width> x = load<width>(update.model + i);
  update_pack<S>(weights, own, u, x);
  if constexpr (S::writes_row) store_streaming(row_of<S>(update) + i, own.row);
  if constexpr (S::writes_mean) store(update.mean + i, u);
  store(update.model + i, x);
  store(update.hand_over + i, x);
}

/// Waits, all threads of the block, until the turn before is over for a tile.
__device__ void await_turn(std::uint32_t& over, std::uint32_t turn) {
  if (threadIdx.x == 0) {
    while (OnDevice<std::uint32_t>(over).load(cuda::std::memory_order_acquire) != turn) __nanosleep(nap_ns);
  }
  __syncthreads();
}

/// Behind what all threads of the block have written.
__device__ void end_turn(std::uint32_t& over, std::uint32_t turn) {
  __syncthreads();
  if (threadIdx.x == 0) OnDevice<std::uint32_t>(over).store(turn + 1, cuda::std::memory_order_release);
}

template <typename S>
__device__ void update_tile(const UpdateInTurn& in, const Weights& weights, std::size_t index,
                            std::uint32_t turn, bool aligned) {
  const ServerUpdate& update = in.update;
  const std::size_t begin = index * UpdateInTurn::tile;
  const std::size_t end =
      begin + UpdateInTurn::tile < update.dimension ? begin + UpdateInTurn::tile : update.dimension;
  if (aligned && end - begin == UpdateInTurn::tile) {
    GradientAndRow<S, 4> own[packs_per_thread];
#pragma unroll
    for (std::size_t k = 0; k < packs_per_thread; ++k) {
      own[k] = load_own<S, 4>(update, begin + 4 * (k * threads_per_block + threadIdx.x));
    }
    await_turn(in.turns.over[index], turn);
#pragma unroll
    for (std::size_t k = 0; k < packs_per_thread; ++k) {
      update_at<S, 4>(update, weights, begin + 4 * (k * threads_per_block + threadIdx.x), own[k]);
    }
  } else {
    await_turn(in.turns.over[index], turn);
    for (std::size_t i = begin + threadIdx.x; i < end; i += threads_per_block) {
      GradientAndRow<S, 1> own = load_own<S, 1>(update, i);
      update_at<S, 1>(update, weights, i, own);
    }
  }
  end_turn(in.turns.over[index], turn);
}

/// The first block of a launch to begin decides for all, so that whoever has a turn is running. Blocks take
/// tiles in the order in which they begin, and thus a later turn waits for blocks that have begun, or that
/// have room to.
template <typename S>
__global__ void __launch_bounds__(threads_per_block)
    update_in_turn_kernel(UpdateInTurn in, Weights weights, bool aligned) {
  __shared__ std::uint32_t first_tile;
  __shared__ TurnDecision decision;
  TurnOfStream& own = *in.own;
  if (threadIdx.x == 0) {
    first_tile = OnDevice<std::uint32_t>(own.begun).fetch_add(1);
    const OnDevice<std::uint32_t> decided(own.decision);
    if (first_tile == 0) decided.store(static_cast<std::uint32_t>(decide<OnDevice>(in)));
    std::uint32_t seen = decided.load();
    for (; seen == 0; seen = decided.load()) __nanosleep(nap_ns);
    decision = static_cast<TurnDecision>(seen);
  }
  __syncthreads();
  const std::uint32_t turn = own.turn;
  if (decision == TurnDecision::turn) {
    const std::size_t tiles = UpdateInTurn::tiles(in.update.dimension);
    for (std::size_t i = first_tile; i < tiles; i += gridDim.x) update_tile<S>(in, weights, i, turn, aligned);
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  const bool last = OnDevice<std::uint32_t>(own.ended).fetch_add(1) + 1 == gridDim.x;
  if (!last) return;
  own.begun = 0;
  own.ended = 0;
  own.decision = 0;
  if (decision == TurnDecision::turn) {
    WithHost<std::uint64_t>(place_of_turn(in.turns, turn)).store(entry_of_turn(turn, in.worker));
  } else if (decision == TurnDecision::refused_now) {
    WithHost<std::uint64_t>(*in.refused).store(in.job + 1);
  }
}

__global__ void limit_turns_kernel(LimitTurns limit) {
  WithHost<std::uint32_t>(*limit.taken).store(set_limit<OnDevice>(limit));
}

/// Returns the blocks of one launch: those of all streams fit on the GPU at once.
Grid grid_in_turn(const UpdateInTurn& in, const void* kernel) {
  const std::size_t resident = resident_blocks(UpdateInTurn::name, kernel, threads_per_block);
  if (in.streams > resident) {
    throw std::runtime_error(std::string(UpdateInTurn::name) + ": " + std::to_string(in.streams) +
                             " streams take turns, and this GPU has room for " + std::to_string(resident));
  }
  return {std::min(UpdateInTurn::tiles(in.update.dimension), resident / in.streams), threads_per_block, true};
}

}  // namespace

void UpdateInTurn::launch(CudaStream stream) const {
  if (update.dimension == 0) return;
  check(*this);
  visit_switches(update, [&]<typename S>(S) {
    if constexpr (can_be_in_turn<S>) {
      void (*const kernel)(UpdateInTurn, Weights, bool) = update_in_turn_kernel<S>;
      launch_kernel(name, kernel, grid_in_turn(*this, reinterpret_cast<const void*>(kernel)), stream, *this,
                    weights_of(update), all_aligned(update));
    }
  });
}

void LimitTurns::launch(CudaStream stream) const {
  check(*this);
  launch_kernel(name, limit_turns_kernel, {1, 1}, stream, *this);
}

}  // namespace tardigrad
