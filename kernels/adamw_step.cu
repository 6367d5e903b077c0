#include "kernels/adamw_step.h"

#include "kernels/adamw_step_math.h"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"

namespace tardigrad {
namespace {

struct AdamWVectors {
  const float* direction;
  float* first;
  float* second;
  float* model;
  float* hand_over;
};

/// Moves `width` elements from `i` on. Its loads are all in flight before the first use.
template <bool with_hand_over, int width>
__device__ void adamw_at(std::size_t i, const AdamWWeights& weights, float scale, const AdamWVectors& v) {
  const auto direction = load<width>(v.direction + i);
  auto first = load<width>(v.first + i);
  auto second = load<width>(v.second + i);
  auto model = load<width>(v.model + i);
#pragma unroll
  for (int lane = 0; lane < width; ++lane) {
    adamw_element(weights, scale, direction.lane[lane], first.lane[lane], second.lane[lane],
                  model.lane[lane]);
  }
  store(v.first + i, first);
  store(v.second + i, second);
  store(v.model + i, model);
  if constexpr (with_hand_over) store(v.hand_over + i, model);
}

/// One group of four elements a thread, with 128-bit accesses; the rest (the tail, or all if a vector is not
/// aligned) one by one.
template <bool with_hand_over>
__global__ void __launch_bounds__(threads_per_block)
    adamw_step_kernel(std::size_t packs, std::size_t dimension, AdamWWeights weights,
                      const float* __restrict__ scale, AdamWVectors vectors) {
  const float s = scale != nullptr ? *scale : 1;
  const std::size_t item = grid_first();
  if (item < packs) {
    adamw_at<with_hand_over, 4>(4 * item, weights, s, vectors);
  } else if (const std::size_t i = item + 3 * packs; i < dimension) {
    adamw_at<with_hand_over, 1>(i, weights, s, vectors);
  }
}

}  // namespace

void AdamWStep::launch(CudaStream stream) const {
  if (dimension == 0) return;
  check(*this);
  const AdamWVectors vectors{direction, first_moment, second_moment, model, hand_over};
  const bool aligned = is_aligned<4>(direction) && is_aligned<4>(first_moment) &&
                       is_aligned<4>(second_moment) && is_aligned<4>(model) && is_aligned<4>(hand_over);
  const std::size_t packs = aligned ? dimension / 4 : 0;
  const std::size_t items = aligned ? packs + dimension % 4 : dimension;
  visit_switches(*this, [&](auto with_hand_over) {
    constexpr auto kernel = adamw_step_kernel<decltype(with_hand_over)::value>;
    launch_kernel(name, kernel, all_for(items), stream, packs, dimension, weights_of(*this), scale, vectors);
  });
}

}  // namespace tardigrad
