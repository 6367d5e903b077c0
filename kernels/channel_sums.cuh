#pragma once

#include <cstddef>

#include "kernels/channel_parts.h"
#include "kernels/column_sums.cuh"
#include "kernels/image_batch.h"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/pool_threads.cuh"

/// Sums over all pixels of all images, channel by channel, in an order that is fixed by the shape: fp32 over
/// parts of the batch, then float64 over the parts.

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

/// Adds the parts: calls write(column, sum) for each of the count · channels sums.
template <typename Write>
__global__ void __launch_bounds__(threads_per_block)
    add_parts_kernel(std::size_t parts, std::size_t columns, const float* __restrict__ partial_sums,
                     Write write) {
  sum_columns(
      parts, columns,
      [=](std::size_t part, std::size_t column) {
        return static_cast<double>(partial_sums[part * columns + column]);
      },
      write);
}

template <typename Write>
void launch_add_parts(const char* name, std::size_t parts, std::size_t columns, const float* partial_sums,
                      const Write& write, CudaStream stream) {
  if (columns == 0) return;
  launch_kernel(name, add_parts_kernel<Write>, grid_for_columns(columns), stream, parts, columns,
                partial_sums, write);
}

/// Writes sums one behind the other.
struct WriteFloats {
  float* to;
  __device__ void operator()(std::size_t column, double sum) const { to[column] = static_cast<float>(sum); }
};

/// Launches what calls load(place, image, channel), which returns `count` terms, once for every element of
/// the images, and then write(i · channels + channel, sum of the i-th terms). Scratch is count · channels
/// floats a part.
template <int count, typename Load, typename Write>
void launch_channel_sums(const char* name, const ImageBatch& shape, const Load& load, const Write& write,
                         float* partial_sums, CudaStream stream) {
  const ChannelParts parts = channel_parts(shape.batch, shape.pixels, shape.format);
  if (shape.size() == 0) {
    return launch_add_parts(name, 0, count * shape.channels, partial_sums, write, stream);
  }
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
  launch_add_parts(name, parts.count, count * shape.channels, partial_sums, write, stream);
}

}  // namespace tardigrad
