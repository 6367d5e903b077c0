#include "kernels/server_update.h"

#include <cstdint>

#include "kernels/launch.cuh"
#include "kernels/server_update_math.h"

namespace tardigrad {
namespace {

/// What one thread moves at once: four floats are one 128-bit access.
template <int width>
struct alignas(width * sizeof(float)) Pack {
  float lane[width];
};

template <int width>
__device__ Pack<width> load(const float* from, std::size_t i) {
  return reinterpret_cast<const Pack<width>*>(from)[i];
}

template <int width>
__device__ void store(float* to, std::size_t i, const Pack<width>& pack) {
  reinterpret_cast<Pack<width>*>(to)[i] = pack;
}

/// Updates the i-th pack. Its loads, up to four, are all in flight before the first use.
template <typename S, int width>
__device__ void update_at(std::size_t i, const float* __restrict__ gradient, float* __restrict__ row,
                          float* __restrict__ mean, float* __restrict__ model, float* __restrict__ hand_over,
                          const Weights& weights) {
  Pack<width> g{}, t{}, u{}, x{};
  if constexpr (S::reads_gradient) g = load<width>(gradient, i);
  if constexpr (S::reads_row) t = load<width>(row, i);
  if constexpr (S::reads_mean) u = load<width>(mean, i);
  if constexpr (S::reads_model) x = load<width>(model, i);
#pragma unroll
  for (int lane = 0; lane < width; ++lane) {
    Element<float> e{g.lane[lane], t.lane[lane], u.lane[lane], x.lane[lane]};
    update_element<S>(weights, e);
    t.lane[lane] = e.row;
    u.lane[lane] = e.mean;
    x.lane[lane] = e.model;
  }
  if constexpr (S::writes_row) store(row, i, t);
  if constexpr (S::writes_mean) store(mean, i, u);
  if constexpr (S::writes_model) store(model, i, x);
  if constexpr (S::hand_over) store(hand_over, i, x);
}

/// The first `packs` groups of four elements with 128-bit accesses, the rest (the tail, or all if a vector is
/// not aligned) one by one. A full multiprocessor of 2048 threads has 128 KiB of loads in flight, several
/// times what covers the latency of device memory, so that a thread need not take more than one pack at once.
template <typename S>
__global__ void __launch_bounds__(threads_per_block)
    server_update_kernel(std::size_t packs, std::size_t dimension, const float* __restrict__ gradient,
                         float* __restrict__ row, float* __restrict__ mean, float* __restrict__ model,
                         float* __restrict__ hand_over, Weights weights) {
  for (std::size_t i = grid_first(); i < packs; i += grid_stride()) {
    update_at<S, 4>(i, gradient, row, mean, model, hand_over, weights);
  }
  for (std::size_t i = 4 * packs + grid_first(); i < dimension; i += grid_stride()) {
    update_at<S, 1>(i, gradient, row, mean, model, hand_over, weights);
  }
}

bool is_aligned(const float* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignof(Pack<4>) == 0;
}

}  // namespace

void ServerUpdate::launch(CudaStream stream) const {
  if (dimension == 0) {
    return;
  }
  check(*this);
  const bool aligned = is_aligned(gradient) && is_aligned(row) && is_aligned(mean) && is_aligned(model) &&
                       is_aligned(hand_over);  // null counts as aligned
  const std::size_t packs = aligned ? dimension / 4 : 0;
  const std::size_t items = aligned ? packs + dimension % 4 : dimension;
  visit_switches(*this, [&]<typename S>(S) {
    launch_kernel(name, server_update_kernel<S>, grid_for(items), stream, packs, dimension, gradient, row,
                  mean, model, hand_over, Weights{fold_weight, mean_weight, step_size});
  });
}

}  // namespace tardigrad
