#include "kernels/bias_relu_max_pool.h"

#include <cstdint>

#include "kernels/bias_relu_max_pool_math.h"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/pool_threads.cuh"

namespace tardigrad {
namespace {

template <typename Number>
struct PoolArguments {
  const Number* __restrict__ input;
  const float* __restrict__ bias;
  Number* __restrict__ output;
  std::uint8_t* __restrict__ winners;
};

/// Stores `count` neighbours at once if they are next to each other.
template <int count, typename Number>
__device__ void store_apart(Number* to, std::size_t stride, const Pack<Number, count>& pack) {
  if (stride == 1) {
    store(to, pack);
    return;
  }
#pragma unroll
  for (int lane = 0; lane < count; ++lane) to[static_cast<std::size_t>(lane) * stride] = pack.lane[lane];
}

/// `count` channels of one window. All four loads are in flight before the first use.
template <int count, typename Number>
__device__ void pool_channels(const PoolPlan& plan, const PoolArguments<Number>& a, std::size_t window,
                              std::size_t channel, const Pack<float, count>& bias) {
  const WindowPlace place = plan.place(window);
  const Number* const from = a.input + place.input(plan.in) + channel * plan.in.channel;
  const auto first = load<count>(from);
  const auto second = load<count>(from + plan.in.pixel);
  const auto third = load<count>(from + plan.in.row);
  const auto fourth = load<count>(from + plan.in.row + plan.in.pixel);
  Pack<Number, count> values;
  Pack<std::uint8_t, count> winners;
#pragma unroll
  for (int lane = 0; lane < count; ++lane) {
    const Pooled pooled = pool_window(widen(first.lane[lane]), widen(second.lane[lane]),
                                      widen(third.lane[lane]), widen(fourth.lane[lane]), bias.lane[lane]);
    values.lane[lane] = nearest<Number>(pooled.value);
    winners.lane[lane] = pooled.winner;
  }
  const std::size_t to = place.output(plan.out) + channel * plan.out.channel;
  store_apart(a.output + to, plan.out.channel, values);
  if (a.winners != nullptr) store_apart(a.winners + to, plan.out.channel, winners);
}

/// For input that is channels last: a thread takes `count` channels, and one window after the other.
template <int count, typename Number>
__global__ void __launch_bounds__(threads_per_block)
    pool_channels_kernel(PoolPlan plan, ChannelThreads threads, PoolArguments<Number> a) {
  if (threads.window_lane() >= threads.window_lanes) return;
  const std::size_t windows = plan.windows();
  const std::size_t first =
      static_cast<std::size_t>(blockIdx.x) * threads.window_lanes + threads.window_lane();
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * threads.window_lanes;
  const std::size_t channels_at_once = static_cast<std::size_t>(threads.group_lanes) * count;
  for (std::size_t channel = threads.group_lane() * std::size_t{count}; channel < plan.channels;
       channel += channels_at_once) {
    Pack<float, count> bias;
#pragma unroll
    for (int lane = 0; lane < count; ++lane) {
      bias.lane[lane] = a.bias[channel + static_cast<std::size_t>(lane)];
    }
    for (std::size_t window = first; window < windows; window += stride) {
      pool_channels<count>(plan, a, window, channel, bias);
    }
  }
}

/// `count` windows in a row of one channel; one window may lie anywhere.
template <int count, typename Number>
__device__ Pack<Number, 2 * count> load_row(const Number* from) {
  if constexpr (count == 1) {
    return {from[0], from[1]};
  } else {
    return load<2 * count>(from);
  }
}

template <int count, typename Number>
__device__ void pool_pixels(const Number* upper_row, const Number* lower_row, float bias, Number* output,
                            std::uint8_t* winners) {
  const auto upper = load_row<count>(upper_row);
  const auto lower = load_row<count>(lower_row);
  Pack<Number, count> values;
  Pack<std::uint8_t, count> places;
#pragma unroll
  for (int i = 0; i < count; ++i) {
    const Pooled pooled = pool_window(widen(upper.lane[2 * i]), widen(upper.lane[2 * i + 1]),
                                      widen(lower.lane[2 * i]), widen(lower.lane[2 * i + 1]), bias);
    values.lane[i] = nearest<Number>(pooled.value);
    places.lane[i] = pooled.winner;
  }
  store(output, values);
  if (winners != nullptr) store(winners, places);
}

/// For input that is channel-major: a thread takes `count` windows in a row at a time of one plane, that is
/// one channel of one image.
template <int count, typename Number>
__global__ void __launch_bounds__(threads_per_block)
    pool_pixels_kernel(PoolPlan plan, PlaneThreads threads, PoolArguments<Number> a) {
  const unsigned per_row = plan.output_width / count;
  const std::size_t planes = plan.batch * plan.channels;
  for (std::size_t plane = threads.warp_first() + threads.plane_in_warp(); plane < planes;
       plane += threads.stride()) {
    const std::size_t n = plane / plan.channels;
    const std::size_t channel = plane % plan.channels;
    const float bias = a.bias[channel];
    for (unsigned item = threads.lane(); item < plan.output_height * per_row; item += threads.lanes) {
      const WindowPlace place{n, item / per_row, item % per_row * std::size_t{count}};
      const std::size_t to = place.output(plan.out) + channel * plan.out.channel;
      const Number* const from = a.input + place.input(plan.in) + channel * plan.in.channel;
      pool_pixels<count>(from, from + plan.in.row, bias, a.output + to,
                         a.winners != nullptr ? a.winners + to : nullptr);
    }
  }
}

template <int count, typename Number>
void launch_channels(const BiasReluMaxPool<Number>& pool, const PoolArguments<Number>& arguments,
                     CudaStream stream) {
  const ChannelThreads threads(pool.shape.channels / count);
  const std::size_t blocks = (pool.shape.windows() + threads.window_lanes - 1) / threads.window_lanes;
  launch_kernel(pool.name, pool_channels_kernel<count, Number>, {blocks}, stream, PoolPlan(pool.shape),
                threads, arguments);
}

template <int count, typename Number>
void launch_pixels(const BiasReluMaxPool<Number>& pool, const PoolArguments<Number>& arguments,
                   CudaStream stream) {
  const PlaneThreads threads(pool.shape.output_height() * pool.shape.output_width() / count);
  launch_kernel(pool.name, pool_pixels_kernel<count, Number>, {threads.blocks(pool.shape)}, stream,
                PoolPlan(pool.shape), threads, arguments);
}

}  // namespace

template <typename Number>
void BiasReluMaxPool<Number>::launch(CudaStream stream) const {
  if (shape.output_size() == 0) return;
  check(*this);
  constexpr int full = full_width<Number>;
  const PoolArguments<Number> arguments{input, bias, output, winners};
  if (shape.input_format == MemoryFormat::channels_last) {
    const bool packed = shape.channels % full == 0 && is_aligned<full>(input) && is_aligned<full>(output) &&
                        is_aligned<full>(winners);
    packed ? launch_channels<full>(*this, arguments, stream) : launch_channels<1>(*this, arguments, stream);
  } else {
    const bool packed = shape.output_format == MemoryFormat::channel_major && shape.width % full == 0 &&
                        is_aligned<full>(input) && is_aligned<full / 2>(output) &&
                        is_aligned<full / 2>(winners);
    packed ? launch_pixels<full / 2>(*this, arguments, stream) : launch_pixels<1>(*this, arguments, stream);
  }
}

template void BiasReluMaxPool<float>::launch(CudaStream) const;
template void BiasReluMaxPool<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
