#pragma once

#include <cstddef>

#include "kernels/bias_relu_max_pool_math.h"
#include "kernels/lane_sum.h"
#include "kernels/launch.cuh"

/// Says how the threads of a GPU share the windows of a pool, forward and backward.

namespace tardigrad {

/// Holds what the kernels have to know of a PoolShape.
struct PoolPlan {
  std::size_t batch, channels, height, width;
  unsigned output_height, output_width;
  ImageStrides in, out;

  explicit PoolPlan(const PoolShape& shape)
      : batch(shape.batch),
        channels(shape.channels),
        height(shape.height),
        width(shape.width),
        output_height(static_cast<unsigned>(shape.output_height())),
        output_width(static_cast<unsigned>(shape.output_width())),
        in(input_strides(shape)),
        out(output_strides(shape)) {}

  /// Returns the number of windows of one channel of the batch, in the order of images, rows and columns;
  /// fewer than 2^32.
  __device__ std::size_t windows() const { return batch * output_height * output_width; }
  __device__ WindowPlace place(std::size_t window) const {
    const auto index = static_cast<unsigned>(window);
    const unsigned row = index / output_width;
    return {row / output_height, row % output_height, index % output_width};
  }
};

/// Places the thread in a block that takes `groups` groups of channels (input channels last): neighbouring
/// threads have neighbouring groups, as they lie in memory, and the block as many windows at once as it has
/// threads for. With fewer threads than groups the block takes them in `rounds`.
struct ChannelThreads {
  unsigned group_lanes;
  unsigned window_lanes;
  unsigned rounds;

  explicit ChannelThreads(std::size_t groups)
      : group_lanes(groups < threads_per_block ? static_cast<unsigned>(groups) : threads_per_block),
        window_lanes(threads_per_block / group_lanes),
        rounds(static_cast<unsigned>((groups + group_lanes - 1) / group_lanes)) {}

  __device__ unsigned group_lane() const { return threadIdx.x % group_lanes; }
  /// Returns the lane of the windows, which is at least window_lanes for the threads that are left over.
  __device__ unsigned window_lane() const { return threadIdx.x / group_lanes; }
};

/// Places the thread among `lanes` neighbouring lanes of a warp that take one channel of one image (input
/// channel-major); a power of two, and no more than there are windows to share out.
struct PlaneThreads {
  unsigned lanes;

  explicit PlaneThreads(std::size_t items) : lanes(1) {
    while (lanes < warp_lanes && lanes < items) lanes *= 2;
  }

  /// Returns the blocks for all channels of all images.
  std::size_t blocks(const PoolShape& shape) const {
    const std::size_t planes_per_block = threads_per_block / lanes;
    return (shape.batch * shape.channels + planes_per_block - 1) / planes_per_block;
  }
  __device__ unsigned lane() const { return threadIdx.x % lanes; }
  /// Returns the plane of the first lane of the thread's warp, which is the same for all lanes, so that they
  /// stay together. stride() is the distance to the warp's next planes, plane_in_warp() the thread's plane
  /// among those that the warp takes at once.
  __device__ std::size_t warp_first() const { return (grid_first() - threadIdx.x % warp_lanes) / lanes; }
  __device__ std::size_t stride() const { return grid_stride() / lanes; }
  __device__ unsigned plane_in_warp() const { return threadIdx.x % warp_lanes / lanes; }
};

}  // namespace tardigrad
