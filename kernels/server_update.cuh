#pragma once

#include "kernels/pack.cuh"
#include "kernels/server_update_math.h"

/// Is what kernels share that have a ServerUpdate's mean and model in registers. `S` is its Switches, without
/// a correction.

namespace tardigrad {

__device__ inline void store_lane(float& to, float value) { to = value; }
__device__ inline void store_lane(Bf16& to, float value) { to = narrow(value); }

/// Holds `width` elements of what belongs to the worker whose gradient has arrived.
template <typename S, int width>
struct GradientAndRow {
  Pack<float, width> gradient{};
  Pack<typename S::Row, width> row{};
};

/// Updates `width` elements in registers: the worker's, of mean and of model.
template <typename S, int width>
__device__ void update_pack(const Weights& weights, GradientAndRow<S, width>& own, Pack<float, width>& mean,
                            Pack<float, width>& model) {
#pragma unroll
  for (int lane = 0; lane < width; ++lane) {
    Element<float> e{own.gradient.lane[lane], widen(own.row.lane[lane]), mean.lane[lane], 0, 0,
                     model.lane[lane]};
    update_element<S>(weights, e);
    store_lane(own.row.lane[lane], e.row);
    mean.lane[lane] = e.mean;
    model.lane[lane] = e.model;
  }
}

/// Tells whether packs of four may begin where each vector does.
inline bool all_aligned(const ServerUpdate& update) {
  return is_aligned<4>(update.gradient) && is_aligned<4>(update.row) && is_aligned<4>(update.row_bf16) &&
         is_aligned<4>(update.mean) && is_aligned<4>(update.corrected) && is_aligned<4>(update.kept) &&
         is_aligned<4>(update.model) && is_aligned<4>(update.hand_over);
}

}  // namespace tardigrad
