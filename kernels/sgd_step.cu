#include "kernels/sgd_step.h"

#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/sgd_step_math.h"

namespace tardigrad {
namespace {

/// Moves `width` elements from `i` on. Its loads are all in flight before the first use.
template <bool with_momentum, bool with_hand_over, int width>
__device__ void step_at(std::size_t i, const SgdWeights& weights, float scale,
                        const float* __restrict__ direction, float* __restrict__ momentum,
                        float* __restrict__ model, float* __restrict__ hand_over) {
  const auto d = load<width>(direction + i);
  Pack<float, width> m{};
  if constexpr (with_momentum) m = load<width>(momentum + i);
  auto x = load<width>(model + i);
#pragma unroll
  for (int lane = 0; lane < width; ++lane) {
    step_element<with_momentum>(weights, scale, d.lane[lane], m.lane[lane], x.lane[lane]);
  }
  if constexpr (with_momentum) store(momentum + i, m);
  store(model + i, x);
  if constexpr (with_hand_over) store(hand_over + i, x);
}

/// One group of four elements a thread, with 128-bit accesses; the rest (the tail, or all if a vector is not
/// aligned) one by one.
template <bool with_momentum, bool with_hand_over>
__global__ void __launch_bounds__(threads_per_block)
    sgd_step_kernel(std::size_t packs, std::size_t dimension, SgdWeights weights,
                    const float* __restrict__ scale, const float* __restrict__ direction,
                    float* __restrict__ momentum, float* __restrict__ model, float* __restrict__ hand_over) {
  const float s = scale != nullptr ? *scale : 1;
  const std::size_t item = grid_first();
  if (item < packs) {
    step_at<with_momentum, with_hand_over, 4>(4 * item, weights, s, direction, momentum, model, hand_over);
  } else if (const std::size_t i = item + 3 * packs; i < dimension) {
    step_at<with_momentum, with_hand_over, 1>(i, weights, s, direction, momentum, model, hand_over);
  }
}

}  // namespace

void SgdStep::launch(CudaStream stream) const {
  if (dimension == 0) return;
  check(*this);
  const SgdWeights weights{step_size, momentum_weight, weight_decay};
  const bool aligned =
      is_aligned<4>(direction) && is_aligned<4>(momentum) && is_aligned<4>(model) && is_aligned<4>(hand_over);
  const std::size_t packs = aligned ? dimension / 4 : 0;
  const std::size_t items = aligned ? packs + dimension % 4 : dimension;
  visit_switches(*this, [&](auto with_momentum, auto with_hand_over) {
    constexpr auto kernel = sgd_step_kernel<decltype(with_momentum)::value, decltype(with_hand_over)::value>;
    launch_kernel(name, kernel, all_for(items), stream, packs, dimension, weights, scale, direction, momentum,
                  model, hand_over);
  });
}

}  // namespace tardigrad
