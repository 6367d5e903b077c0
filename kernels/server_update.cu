#include "kernels/server_update.h"

#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/server_update_math.h"

namespace tardigrad {
namespace {

__device__ void store_lane(float& to, float value) { to = value; }
__device__ void store_lane(Bf16& to, float value) { to = narrow(value); }

/// Updates `width` elements from `i` on. Its loads, up to six, are all in flight before the first use.
///
/// The gradient and the row are read for the last time in a while, as the worker's next gradient replaces the
/// one and the row's turn comes after those of all other workers: they go by the caches' first exit, so that
/// the mean and the model, which every arrival needs, stay where they fit into the second-level cache
/// (8·d bytes). The hand-over is not hinted at: the worker reads it next.
template <typename S, int width>
__device__ void update_at(std::size_t i, const float* __restrict__ gradient,
                          typename S::Row* __restrict__ row, float* __restrict__ mean,
                          float* __restrict__ corrected, float* __restrict__ kept, float* __restrict__ model,
                          float* __restrict__ hand_over, const Weights& weights) {
  Pack<float, width> g{}, u{}, s{}, k{}, x{};
  Pack<typename S::Row, width> t{};
  if constexpr (S::reads_gradient) g = load_streaming<width>(gradient + i);
  if constexpr (S::reads_row) t = load_streaming<width>(row + i);
  if constexpr (S::reads_mean) u = load<width>(mean + i);
  if constexpr (S::reads_corrected) s = load<width>(corrected + i);
  if constexpr (S::reads_kept) k = load_streaming<width>(kept + i);
  if constexpr (S::reads_model) x = load<width>(model + i);
#pragma unroll
  for (int lane = 0; lane < width; ++lane) {
    Element<float> e{g.lane[lane], widen(t.lane[lane]), u.lane[lane],
                     s.lane[lane], k.lane[lane],        x.lane[lane]};
    update_element<S>(weights, e);
    store_lane(t.lane[lane], e.row);
    u.lane[lane] = e.mean;
    s.lane[lane] = e.corrected;
    k.lane[lane] = e.kept;
    x.lane[lane] = e.model;
  }
  if constexpr (S::writes_row) store_streaming(row + i, t);
  if constexpr (S::writes_mean) store(mean + i, u);
  if constexpr (S::corrects) store(corrected + i, s);
  if constexpr (S::keeps) store_streaming(kept + i, k);
  if constexpr (S::writes_model) store(model + i, x);
  if constexpr (S::hand_over) store(hand_over + i, x);
}

/// One group of four elements a thread, with 128-bit accesses; the rest (the tail, or all if a vector is not
/// aligned) one by one.
///
/// One item a thread, in as many blocks as it takes. By reckoning (a GPU has to show it): the threads of a
/// full multiprocessor, 1,536 or more of them, have 64 bytes of loads each in flight, 96 KiB, while latency
/// (about 0.8 µs at 4.8 TB/s over 132 multiprocessors) asks for 30; more for each thread would cost
/// registers, hence threads. A multiprocessor that is nearer to memory takes more blocks, where a grid-stride
/// loop would give it the same share and wait for the slowest. And at d = 620,362 the 606 blocks are all
/// resident on such a GPU: every load of the update is in flight at once.
template <typename S>
__global__ void __launch_bounds__(threads_per_block)
    server_update_kernel(std::size_t packs, std::size_t dimension, const float* __restrict__ gradient,
                         typename S::Row* __restrict__ row, float* __restrict__ mean,
                         float* __restrict__ corrected, float* __restrict__ kept, float* __restrict__ model,
                         float* __restrict__ hand_over, Weights weights) {
  const std::size_t item = grid_first();
  if (item < packs) {
    update_at<S, 4>(4 * item, gradient, row, mean, corrected, kept, model, hand_over, weights);
  } else if (const std::size_t i = item + 3 * packs; i < dimension) {
    update_at<S, 1>(i, gradient, row, mean, corrected, kept, model, hand_over, weights);
  }
}

}  // namespace

void ServerUpdate::launch(CudaStream stream) const {
  if (dimension == 0) return;
  check(*this);
  const bool aligned = is_aligned<4>(gradient) && is_aligned<4>(row) && is_aligned<4>(row_bf16) &&
                       is_aligned<4>(mean) && is_aligned<4>(corrected) && is_aligned<4>(kept) &&
                       is_aligned<4>(model) && is_aligned<4>(hand_over);
  const std::size_t packs = aligned ? dimension / 4 : 0;
  const std::size_t items = aligned ? packs + dimension % 4 : dimension;
  visit_switches(*this, [&]<typename S>(S) {
    launch_kernel(name, server_update_kernel<S>, all_for(items), stream, packs, dimension, gradient,
                  row_of<S>(*this), mean, corrected, kept, model, hand_over,
                  Weights{fold_weight, mean_weight, correction_weight, step_size});
  });
}

}  // namespace tardigrad
