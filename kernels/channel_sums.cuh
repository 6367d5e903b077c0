#pragma once

#include <cstddef>

#include "kernels/channel_parts.h"
#include "kernels/image_batch.h"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/pool_threads.cuh"

/// Sums over parts of a batch, channel by channel, in fp32 and an order that is fixed by the shape.

namespace tardigrad {

/// Adds up the sums of the window lanes of a block, in halves, for those of window lane 0. Every thread of
/// the block calls it.
template <int count>
__device__ void sum_window_lanes(const ChannelThreads& threads, Pack<float, count>& sums) {
  __shared__ float shared[count][threads_per_block];
#pragma unroll
  for (int lane = 0; lane < count; ++lane) shared[lane][threadIdx.x] = sums.lane[lane];
  for (unsigned left = threads.window_lanes; left > 1;) {
    const unsigned half = (left + 1) / 2;
    __syncthreads();
    if (threads.window_lane() + half < left) {
#pragma unroll
      for (int lane = 0; lane < count; ++lane) {
        shared[lane][threadIdx.x] += shared[lane][threadIdx.x + half * threads.group_lanes];
      }
    }
    left = half;
  }
#pragma unroll
  for (int lane = 0; lane < count; ++lane) sums.lane[lane] = shared[lane][threadIdx.x];
  __syncthreads();  // before another call writes what others may still be reading
}

/// For images with channels last. A block takes one part of the rows at a time, and of the channels as many
/// as it has threads for.
template <int count, typename Load>
__global__ void __launch_bounds__(threads_per_block)
    channel_parts_kernel(ImageBatch shape, ChannelThreads threads, ChannelParts parts, Load load,
                         float* __restrict__ partial_sums) {
  const std::size_t rows = shape.batch * shape.pixels;
  for (std::size_t unit = blockIdx.x; unit < parts.count * threads.rounds; unit += gridDim.x) {
    const std::size_t part = unit / threads.rounds;
    const std::size_t begin = part * parts.rows;
    const std::size_t end = min(begin + parts.rows, rows);
    const std::size_t channel = unit % threads.rounds * threads.group_lanes + threads.group_lane();
    const bool active = channel < shape.channels && threads.window_lane() < threads.window_lanes;
    Pack<float, count> sums{};
    for (std::size_t row = begin + threads.window_lane(); active && row < end; row += threads.window_lanes) {
      const Pack<float, count> terms = load(row * shape.channels + channel, row / shape.pixels, channel);
#pragma unroll
      for (int i = 0; i < count; ++i) sums.lane[i] += terms.lane[i];
    }
    sum_window_lanes<count>(threads, sums);
    if (active && threads.window_lane() == 0) {
#pragma unroll
      for (int i = 0; i < count; ++i) {
        partial_sums[(part * count + static_cast<std::size_t>(i)) * shape.channels + channel] = sums.lane[i];
      }
    }
  }
}

/// For channel-major images: a part is an image.
template <int count, typename Load>
__global__ void __launch_bounds__(threads_per_block)
    plane_parts_kernel(ImageBatch shape, PlaneThreads threads, Load load, float* __restrict__ partial_sums) {
  const std::size_t planes = shape.batch * shape.channels;
  for (std::size_t first = threads.warp_first(); first < planes; first += threads.stride()) {
    const std::size_t plane = first + threads.plane_in_warp();
    const std::size_t pixels = plane < planes ? shape.pixels : 0;
    const std::size_t image = plane / shape.channels;
    const std::size_t channel = plane % shape.channels;
    Pack<float, count> sums{};
    for (std::size_t pixel = threads.lane(); pixel < pixels; pixel += threads.lanes) {
      const Pack<float, count> terms = load(plane * shape.pixels + pixel, image, channel);
#pragma unroll
      for (int i = 0; i < count; ++i) sums.lane[i] += terms.lane[i];
    }
    for (unsigned half = threads.lanes / 2; half > 0; half /= 2) {
#pragma unroll
      for (int i = 0; i < count; ++i) sums.lane[i] += __shfl_down_sync(0xffffffffU, sums.lane[i], half);
    }
    if (plane < planes && threads.lane() == 0) {
#pragma unroll
      for (int i = 0; i < count; ++i) {
        partial_sums[(image * count + static_cast<std::size_t>(i)) * shape.channels + channel] = sums.lane[i];
      }
    }
  }
}

/// Launches what calls load(place, image, channel), which returns `count` terms, once for every element of
/// the images, and leaves partial sums [parts][count][channels]. Without images nothing is done.
template <int count, typename Load>
void launch_channel_parts(const char* name, const ImageBatch& shape, const Load& load, float* partial_sums,
                          CudaStream stream) {
  if (shape.size() == 0) return;
  const ChannelParts parts = channel_parts(shape);
  if (shape.format == MemoryFormat::channels_last) {
    const ChannelThreads threads(shape.channels);
    launch_kernel(name, channel_parts_kernel<count, Load>, {parts.count * threads.rounds}, stream, shape,
                  threads, parts, load, partial_sums);
  } else {
    const PlaneThreads threads(shape.pixels);
    const std::size_t planes_of_a_block = threads_per_block / threads.lanes;
    const std::size_t blocks = (shape.batch * shape.channels + planes_of_a_block - 1) / planes_of_a_block;
    launch_kernel(name, plane_parts_kernel<count, Load>, {blocks}, stream, shape, threads, load,
                  partial_sums);
  }
}

}  // namespace tardigrad
