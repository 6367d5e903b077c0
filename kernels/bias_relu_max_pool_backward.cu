#include "kernels/bias_relu_max_pool_backward.h"

#include <cstdint>

#include "kernels/bias_relu_max_pool_backward_math.h"
#include "kernels/channel_sums.cuh"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/pool_threads.cuh"

namespace tardigrad {
namespace {

template <typename Number>
struct PoolBackwardArguments {
  const Number* __restrict__ output_gradient;
  const std::uint8_t* __restrict__ winners;
  Number* __restrict__ input_gradient;
  float* __restrict__ partial_sums;
};

/// Loads `count` neighbours, at once if they are next to each other.
template <int count, typename Number>
__device__ Pack<Number, count> load_apart(const Number* from, std::size_t stride) {
  if (stride == 1) return load<count>(from);
  Pack<Number, count> pack;
#pragma unroll
  for (int lane = 0; lane < count; ++lane) pack.lane[lane] = from[static_cast<std::size_t>(lane) * stride];
  return pack;
}

/// `count` channels of one window and of what `extent` adds to it.
template <int count, typename Number>
__device__ void spread_channels(const PoolPlan& plan, const PoolBackwardArguments<Number>& a,
                                std::size_t window, std::size_t channel, Pack<float, count>& sums) {
  const WindowPlace place = plan.place(window);
  const std::size_t from = place.output(plan.out) + channel * plan.out.channel;
  const auto gradient = load_apart<count>(a.output_gradient + from, plan.out.channel);
  const auto winners = load_apart<count>(a.winners + from, plan.out.channel);
  Number* const to = a.input_gradient + place.input(plan.in) + channel * plan.in.channel;
  const unsigned rows = extent(place.y, plan.height);
  const unsigned columns = extent(place.x, plan.width);
  for (unsigned row = 0; row < rows; ++row) {
    for (unsigned column = 0; column < columns; ++column) {
      Pack<Number, count> result;
#pragma unroll
      for (int lane = 0; lane < count; ++lane) {
        result.lane[lane] = input_gradient_at(gradient.lane[lane], winners.lane[lane], row, column);
      }
      store(to + row * plan.in.row + column * plan.in.pixel, result);
    }
  }
#pragma unroll
  for (int lane = 0; lane < count; ++lane) {
    sums.lane[lane] += winners.lane[lane] < no_winner ? widen(gradient.lane[lane]) : 0.0F;
  }
}

/// For input that is channels last. A block takes one part of the windows at a time.
template <int count, typename Number>
__global__ void __launch_bounds__(threads_per_block)
    spread_channels_kernel(PoolPlan plan, ChannelThreads threads, ChannelParts parts,
                           PoolBackwardArguments<Number> a) {
  const std::size_t windows = plan.windows();
  for (std::size_t part = blockIdx.x; part < parts.count; part += gridDim.x) {
    const std::size_t begin = part * parts.rows;
    const std::size_t end = min(begin + parts.rows, windows);
    for (unsigned round = 0; round < threads.rounds; ++round) {
      const std::size_t group = std::size_t{round} * threads.group_lanes + threads.group_lane();
      const std::size_t channel = group * count;
      const bool active = channel < plan.channels && threads.window_lane() < threads.window_lanes;
      Pack<float, count> sums{};
      for (std::size_t window = begin + threads.window_lane(); active && window < end;
           window += threads.window_lanes) {
        spread_channels<count>(plan, a, window, channel, sums);
      }
      sum_window_lanes<count>(threads, sums);
      if (active && threads.window_lane() == 0) {
#pragma unroll
        for (int lane = 0; lane < count; ++lane) {
          a.partial_sums[part * plan.channels + channel + static_cast<std::size_t>(lane)] = sums.lane[lane];
        }
      }
    }
  }
}

/// `count` windows in a row of one channel, and what `extent` adds to them. Returns what the bias gets.
template <int count, typename Number>
__device__ float spread_pixels(const Number* output_gradient, const std::uint8_t* output_winners,
                               unsigned rows, unsigned columns, std::size_t row_stride, Number* to) {
  const auto gradient = load<count>(output_gradient);
  const auto winners = load<count>(output_winners);
  for (unsigned row = 0; row < rows; ++row, to += row_stride) {
    if constexpr (count == 1) {  // a window may lie anywhere
      for (unsigned column = 0; column < columns; ++column) {
        to[column] = input_gradient_at(gradient.lane[0], winners.lane[0], row, column);
      }
    } else {  // the width is even
      Pack<Number, 2 * count> result;
#pragma unroll
      for (unsigned i = 0; i < 2 * count; ++i) {
        result.lane[i] = input_gradient_at(gradient.lane[i / 2], winners.lane[i / 2], row, i % 2);
      }
      store(to, result);
    }
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < count; ++i) sum += winners.lane[i] < no_winner ? widen(gradient.lane[i]) : 0.0F;
  return sum;
}

/// For input that is channel-major: a thread takes `count` windows in a row at a time of one plane.
template <int count, typename Number>
__global__ void __launch_bounds__(threads_per_block)
    spread_pixels_kernel(PoolPlan plan, PlaneThreads threads, PoolBackwardArguments<Number> a) {
  const unsigned per_row = plan.output_width / count;
  const std::size_t planes = plan.batch * plan.channels;
  for (std::size_t first = threads.warp_first(); first < planes; first += threads.stride()) {
    const std::size_t plane = first + threads.plane_in_warp();
    const unsigned items = plane < planes ? plan.output_height * per_row : 0;
    const std::size_t channel = plane % plan.channels;
    float sum = 0;
    for (unsigned item = threads.lane(); item < items; item += threads.lanes) {
      const WindowPlace place{plane / plan.channels, item / per_row, item % per_row * std::size_t{count}};
      const std::size_t from = place.output(plan.out) + channel * plan.out.channel;
      sum += spread_pixels<count>(a.output_gradient + from, a.winners + from, extent(place.y, plan.height),
                                  extent(place.x, plan.width), plan.in.row,
                                  a.input_gradient + place.input(plan.in) + channel * plan.in.channel);
    }
    for (unsigned half = threads.lanes / 2; half > 0; half /= 2) {
      sum += __shfl_down_sync(0xffffffffU, sum, half);
    }
    if (plane < planes && threads.lane() == 0) a.partial_sums[plane] = sum;
  }
}

template <int count, typename Number>
void launch_channels(const BiasReluMaxPoolBackward<Number>& pool,
                     const PoolBackwardArguments<Number>& arguments, CudaStream stream) {
  const ChannelParts parts = parts_of(pool.shape);
  launch_kernel(pool.name, spread_channels_kernel<count, Number>, {parts.count}, stream, PoolPlan(pool.shape),
                ChannelThreads(pool.shape.channels / count), parts, arguments);
}

template <int count, typename Number>
void launch_pixels(const BiasReluMaxPoolBackward<Number>& pool,
                   const PoolBackwardArguments<Number>& arguments, CudaStream stream) {
  const PlaneThreads threads(pool.shape.output_height() * pool.shape.output_width() / count);
  launch_kernel(pool.name, spread_pixels_kernel<count, Number>, {threads.blocks(pool.shape)}, stream,
                PoolPlan(pool.shape), threads, arguments);
}

/// The input gradient, and the sums of the parts.
template <typename Number>
void launch_spread(const BiasReluMaxPoolBackward<Number>& pool, CudaStream stream) {
  constexpr int full = full_width<Number>;
  const PoolShape& shape = pool.shape;
  const PoolBackwardArguments<Number> arguments{pool.output_gradient, pool.winners, pool.input_gradient,
                                                pool.partial_sums};
  if (shape.input_format == MemoryFormat::channels_last) {
    const bool packed = shape.channels % full == 0 && is_aligned<full>(pool.input_gradient) &&
                        is_aligned<full>(pool.output_gradient) && is_aligned<full>(pool.winners);
    packed ? launch_channels<full>(pool, arguments, stream) : launch_channels<1>(pool, arguments, stream);
  } else {
    const bool packed = shape.output_format == MemoryFormat::channel_major && shape.width % full == 0 &&
                        is_aligned<full>(pool.input_gradient) && is_aligned<full / 2>(pool.output_gradient) &&
                        is_aligned<full / 2>(pool.winners);
    packed ? launch_pixels<full / 2>(pool, arguments, stream) : launch_pixels<1>(pool, arguments, stream);
  }
}

}  // namespace

template <typename Number>
void BiasReluMaxPoolBackward<Number>::launch(CudaStream stream) const {
  if (shape.channels == 0) return;
  check(*this);
  if (shape.windows() > 0) return launch_spread(*this, stream);
  const std::size_t input_bytes = shape.input_size() * sizeof(Number);
  check_cuda(cudaMemsetAsync(input_gradient, 0, input_bytes, stream), name, "cudaMemsetAsync");
}

template void BiasReluMaxPoolBackward<float>::launch(CudaStream) const;
template void BiasReluMaxPoolBackward<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
