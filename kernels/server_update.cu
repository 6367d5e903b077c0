#include "kernels/server_update.h"

#include <algorithm>
#include <span>

#include "kernels/launch.cuh"
#include "kernels/server_update.cuh"

namespace tardigrad {
namespace {

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

/// Is what one update of several has of its own.
struct OfUpdate {
  const float* gradient;
  void* row;
  float* hand_over;
  Weights weights;
};

/// Is an argument of a kernel, whole: a GPU reads it through its cache of constants.
struct OfUpdates {
  int count;
  OfUpdate of[ServerUpdates::most];
};

template <typename S>
__device__ typename S::Row* row_of(const OfUpdate& update) {
  return static_cast<typename S::Row*>(update.row);
}

template <typename S, int width>
__device__ void load_row(std::size_t i, const OfUpdate& update, GradientAndRow<S, width>& operands) {
  if constexpr (S::reads_row) operands.row = load_streaming<width>(row_of<S>(update) + i);
}

/// Updates `width` elements from `i` on, again and again, with mean and model in registers. What the next
/// update reads is on its way while one is computed: gradients, which no update writes, and the row unless it
/// is the one that is just being written, as it is where a worker arrives twice.
template <typename S, int width>
__device__ void update_many_at(std::size_t i, const OfUpdates& updates, float* mean, float* model) {
  Pack<float, width> u{}, x{};
  GradientAndRow<S, width> next;
  if constexpr (S::reads_gradient) next.gradient = load_streaming<width>(updates.of[0].gradient + i);
  load_row(i, updates.of[0], next);
  if constexpr (S::reads_mean) u = load<width>(mean + i);
  if constexpr (S::reads_model) x = load<width>(model + i);
  for (int k = 0; k < updates.count; ++k) {
    const OfUpdate& update = updates.of[k];
    GradientAndRow<S, width> now = next;
    const bool last = k + 1 == updates.count;
    const bool same_row = S::writes_row && !last && updates.of[k + 1].row == update.row;
    if (!last) {
      if constexpr (S::reads_gradient) next.gradient = load_streaming<width>(updates.of[k + 1].gradient + i);
      if (!same_row) load_row(i, updates.of[k + 1], next);
    }
    update_pack<S>(update.weights, now, u, x);
    if constexpr (S::writes_row) store_streaming(row_of<S>(update) + i, now.row);
    if constexpr (S::hand_over) store(update.hand_over + i, x);
    if (same_row) next.row = now.row;
  }
  if constexpr (S::writes_mean) store(mean + i, u);
  if constexpr (S::writes_model) store(model + i, x);
}

/// Has the threads of server_update_kernel.
template <typename S>
__global__ void __launch_bounds__(threads_per_block)
    server_updates_kernel(std::size_t packs, std::size_t dimension, OfUpdates updates, float* mean,
                          float* model) {
  const std::size_t item = grid_first();
  if (item < packs) {
    update_many_at<S, 4>(4 * item, updates, mean, model);
  } else if (const std::size_t i = item + 3 * packs; i < dimension) {
    update_many_at<S, 1>(i, updates, mean, model);
  }
}

/// Is how many items a kernel has: packs of four elements where all vectors are aligned, and the rest.
struct Items {
  Items(std::size_t dimension, bool aligned)
      : packs(aligned ? dimension / 4 : 0), count(dimension - 3 * packs) {}
  std::size_t packs;
  std::size_t count;
};

/// Enqueues updates that may share a kernel, of which there are two or more.
template <typename S>
void launch_together(std::span<const ServerUpdate> updates, CudaStream stream) {
  OfUpdates arguments{static_cast<int>(updates.size()), {}};
  for (std::size_t k = 0; k < updates.size(); ++k) {
    const ServerUpdate& update = updates[k];
    arguments.of[k] = {update.gradient, tardigrad::row_of<S>(update), update.hand_over, weights_of(update)};
  }
  const ServerUpdate& first = updates.front();
  const bool aligned = std::ranges::all_of(updates, [](const ServerUpdate& one) { return all_aligned(one); });
  const Items items(first.dimension, aligned);
  launch_kernel(ServerUpdates::name, server_updates_kernel<S>, all_for(items.count), stream, items.packs,
                first.dimension, arguments, first.mean, first.model);
}

}  // namespace

void ServerUpdate::launch(CudaStream stream) const {
  if (dimension == 0) return;
  check(*this);
  const Items items(dimension, all_aligned(*this));
  visit_switches(*this, [&]<typename S>(S) {
    launch_kernel(name, server_update_kernel<S>, all_for(items.count), stream, items.packs, dimension,
                  gradient, row_of<S>(*this), mean, corrected, kept, model, hand_over, weights_of(*this));
  });
}

void ServerUpdates::launch(CudaStream stream) const {
  check();
  std::span<const ServerUpdate> rest = all();
  while (!rest.empty() && rest.front().dimension > 0) {
    const auto differs = [](const ServerUpdate& one, const ServerUpdate& next) {
      return !share_kernel(one, next);
    };
    const auto last = std::ranges::adjacent_find(rest, differs);
    const auto together = static_cast<std::size_t>(last - rest.begin()) + (last == rest.end() ? 0 : 1);
    if (together == 1) {
      rest.front().launch(stream);
    } else {
      visit_switches(rest.front(), [&]<typename S>(S) {
        if constexpr (!S::corrects) launch_together<S>(rest.first(together), stream);
      });
    }
    rest = rest.subspan(together);
  }
}

}  // namespace tardigrad
