#include <cstdint>

#include "kernels/conv_relu_pool_math.h"
#include "kernels/lane_sum.cuh"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/visit_constant.h"

namespace tardigrad {
namespace {

constexpr int forward_threads = 128;

/// Counts the output channels that a thread computes at once, with each pixel that it has loaded.
constexpr unsigned channels_at_once = 8;

/// Holds what the kernels have to know of a ConvPoolShape.
struct ConvPlan {
  unsigned images, input_channels, channels;
  unsigned windows_high, windows_wide;
  PaddedPlanes planes;
  std::size_t image, input_channel;  ///< strides of the input
  ImageStrides out;
  WindowBands bands;

  ConvPlan(const ConvPoolShape& shape, const WindowBands& its_bands)
      : images(static_cast<unsigned>(shape.batch)),
        input_channels(static_cast<unsigned>(shape.input_channels)),
        channels(static_cast<unsigned>(shape.channels)),
        windows_high(static_cast<unsigned>(shape.pool().output_height())),
        windows_wide(static_cast<unsigned>(shape.pool().output_width())),
        planes(shape),
        image(input_strides(shape).image),
        input_channel(input_strides(shape).channel),
        out(output_strides(shape.pool())),
        bands(its_bands) {}

  __device__ unsigned first_row(unsigned band) const { return band * bands.rows; }
  /// Returns the number of windows of one channel in a band of an image.
  __device__ unsigned windows_in(unsigned band) const {
    return min(bands.rows, windows_high - first_row(band)) * windows_wide;
  }
};

/// Copies the pixels that the windows of a band read, of one channel of an image, to shared memory. Every
/// thread of the block takes part; the caller synchronises them.
template <int kernel, typename Number>
__device__ void load_band(const ConvPlan& plan, const Number* plane, unsigned band, float* to) {
  const unsigned row_floats = plan.bands.row_floats;
  const unsigned first = 2 * plan.first_row(band);
  unsigned row = threadIdx.x / row_floats;
  unsigned column = threadIdx.x % row_floats;
  for (unsigned i = threadIdx.x; i < plan.bands.plane_floats(kernel); i += blockDim.x) {
    to[i] = plan.planes.at(plane, first + row, column);
    row += blockDim.x / row_floats;
    column += blockDim.x % row_floats;
    if (column >= row_floats) {
      column -= row_floats;
      ++row;
    }
  }
}

template <typename Number>
struct ForwardArguments {
  const Number* __restrict__ input;
  const float* __restrict__ weight;
  const float* __restrict__ bias;
  Number* __restrict__ output;
  std::uint8_t* __restrict__ winners;
};

/// Adds, to the sums of the four elements of a window, the products of one input channel.
template <int kernel>
__device__ void add_products(const float* pixels, unsigned row_floats,
                             const float (*weights)[channels_at_once], float (&sums)[4][channels_at_once]) {
  constexpr int side = kernel + 1;  // of what the window's elements read together; even
  float pixel[side][side];
#pragma unroll
  for (int y = 0; y < side; ++y) {
#pragma unroll
    for (int x = 0; x < side; x += 2) {
      const auto pair = load<2>(pixels + static_cast<unsigned>(y) * row_floats + x);
      pixel[y][x] = pair.lane[0];
      pixel[y][x + 1] = pair.lane[1];
    }
  }
#pragma unroll
  for (int y = 0; y < kernel; ++y) {
#pragma unroll
    for (int x = 0; x < kernel; ++x) {
#pragma unroll
      for (unsigned o = 0; o < channels_at_once; o += 4) {
        const auto four = load<4>(weights[y * kernel + x] + o);
#pragma unroll
        for (unsigned lane = 0; lane < 4; ++lane) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            sums[i][o + lane] = multiply_add(four.lane[lane], pixel[y + i / 2][x + i % 2], sums[i][o + lane]);
          }
        }
      }
    }
  }
}

/// A block takes one band of one image and channels_at_once output channels at a time, a thread one window
/// of these.
template <int kernel, typename Number>
__global__ void __launch_bounds__(forward_threads)
    conv_relu_pool_kernel(ConvPlan plan, ForwardArguments<Number> a) {
  constexpr unsigned taps = kernel * kernel;
  alignas(16) __shared__ float pixels[forward_band_floats];
  alignas(16) __shared__ float weights[most_input_channels * taps][channels_at_once];
  const unsigned groups = (plan.channels + channels_at_once - 1) / channels_at_once;
  const unsigned plane_floats = plan.bands.plane_floats(kernel);
  const std::size_t units = std::size_t{plan.images} * plan.bands.count * groups;
  for (std::size_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
    const unsigned first_channel = static_cast<unsigned>(unit % groups) * channels_at_once;
    const auto band = static_cast<unsigned>(unit / groups % plan.bands.count);
    const std::size_t n = unit / groups / plan.bands.count;
    const unsigned channels = min(channels_at_once, plan.channels - first_channel);
    const unsigned rows_of_weights = plan.input_channels * taps;
    for (unsigned i = threadIdx.x; i < rows_of_weights * channels_at_once; i += blockDim.x) {
      const unsigned o = i / rows_of_weights;
      const std::size_t from = std::size_t{first_channel + o} * rows_of_weights + i % rows_of_weights;
      weights[i % rows_of_weights][o] = o < channels ? a.weight[from] : 0;
    }
    for (unsigned c = 0; c < plan.input_channels; ++c) {
      load_band<kernel>(plan, a.input + n * plan.image + c * plan.input_channel, band,
                        pixels + c * plane_floats);
    }
    __syncthreads();
    for (unsigned window = threadIdx.x; window < plan.windows_in(band); window += blockDim.x) {
      const unsigned y = window / plan.windows_wide;
      const unsigned x = window % plan.windows_wide;
      float sums[4][channels_at_once] = {};
      for (unsigned c = 0; c < plan.input_channels; ++c) {
        add_products<kernel>(pixels + c * plane_floats + 2 * y * plan.bands.row_floats + 2 * x,
                             plan.bands.row_floats, weights + c * taps, sums);
      }
      const WindowPlace place{n, plan.first_row(band) + y, x};
      const std::size_t to = place.output(plan.out) + first_channel * plan.out.channel;
#pragma unroll
      for (unsigned o = 0; o < channels_at_once; ++o) {
        if (o >= channels) break;
        const Pooled pooled =
            pool_window(sums[0][o], sums[1][o], sums[2][o], sums[3][o], a.bias[first_channel + o]);
        a.output[to + o * plan.out.channel] = nearest<Number>(pooled.value);
        if (a.winners != nullptr) a.winners[to + o * plan.out.channel] = pooled.winner;
      }
    }
    __syncthreads();  // before another band takes the place of this one
  }
}

template <typename Number>
struct BackwardArguments {
  const Number* __restrict__ input;
  const Number* __restrict__ output_gradient;
  const std::uint8_t* __restrict__ winners;
  float* __restrict__ partial_sums;
};

/// A block takes one part of the batch, one input channel and a group of output channels at a time; a warp
/// takes one of these, which it adds up over the windows of the part, each lane some of them.
template <int kernel, typename Number>
__global__ void __launch_bounds__(threads_per_block)
    weight_parts_kernel(ConvPlan plan, unsigned parts, BackwardArguments<Number> a) {
  constexpr int taps = kernel * kernel;
  constexpr unsigned warps = threads_per_block / warp_lanes;
  __shared__ float pixels[backward_band_floats];
  const unsigned lane = threadIdx.x % warp_lanes;
  const unsigned groups = (plan.channels + warps - 1) / warps;
  const unsigned bands = plan.images * plan.bands.count;
  const std::size_t weights = std::size_t{plan.channels} * plan.input_channels * taps;
  for (std::size_t unit = blockIdx.x; unit < std::size_t{parts} * plan.input_channels * groups;
       unit += gridDim.x) {
    const unsigned o = static_cast<unsigned>(unit % groups) * warps + threadIdx.x / warp_lanes;
    const auto c = static_cast<unsigned>(unit / groups % plan.input_channels);
    const auto part = static_cast<unsigned>(unit / groups / plan.input_channels);
    float weight_sums[taps] = {};
    float bias_sum = 0;
    for (unsigned i = part; i < bands; i += parts) {
      const std::size_t n = i / plan.bands.count;
      const unsigned band = i % plan.bands.count;
      load_band<kernel>(plan, a.input + n * plan.image + c * plan.input_channel, band, pixels);
      __syncthreads();
      const unsigned windows = o < plan.channels ? plan.windows_in(band) : 0;
      for (unsigned window = lane; window < windows; window += warp_lanes) {
        const unsigned y = window / plan.windows_wide;
        const unsigned x = window % plan.windows_wide;
        const std::size_t at =
            WindowPlace{n, plan.first_row(band) + y, x}.output(plan.out) + o * plan.out.channel;
        const unsigned winner = a.winners[at];
        if (winner >= no_winner) continue;
        const float gradient = widen(a.output_gradient[at]);
        const float* const read = pixels + (2 * y + winner / 2) * plan.bands.row_floats + 2 * x + winner % 2;
#pragma unroll
        for (unsigned i_row = 0; i_row < kernel; ++i_row) {
#pragma unroll
          for (unsigned i_column = 0; i_column < kernel; ++i_column) {
            float& sum = weight_sums[i_row * kernel + i_column];
            sum = multiply_add(gradient, read[i_row * plan.bands.row_floats + i_column], sum);
          }
        }
        bias_sum += gradient;
      }
      __syncthreads();  // before another band takes the place of this one
    }
    if (o >= plan.channels) continue;  // a whole warp
    float* const sums = a.partial_sums + part * (weights + plan.channels);
#pragma unroll
    for (int tap = 0; tap < taps; ++tap) {
      const float sum = sum_in_warp(weight_sums[tap]);
      if (lane == 0) sums[(std::size_t{o} * plan.input_channels + c) * taps + tap] = sum;
    }
    if (c > 0) continue;
    bias_sum = sum_in_warp(bias_sum);
    if (lane == 0) sums[weights + o] = bias_sum;
  }
}

}  // namespace

template <typename Number>
void ConvReluPool<Number>::launch(CudaStream stream) const {
  if (shape.output_size() == 0) return;
  check(*this);
  const ConvPlan plan(shape, forward_bands(shape));
  const std::size_t groups = (shape.channels + channels_at_once - 1) / channels_at_once;
  const Grid grid{shape.batch * plan.bands.count * groups, forward_threads};
  const ForwardArguments<Number> arguments{input, weight, bias, output, winners};
  visit_constant<3U, 5U>(shape.kernel, [&](auto kernel) {
    launch_kernel(name, conv_relu_pool_kernel<static_cast<int>(kernel()), Number>, grid, stream, plan,
                  arguments);
  });
}

template <typename Number>
void ConvReluPoolBackward<Number>::launch(CudaStream stream) const {
  if (shape.output_size() == 0) return;
  check(*this);
  constexpr std::size_t warps = threads_per_block / warp_lanes;
  const std::size_t parts = parts_of(shape);
  const Grid grid{parts * shape.input_channels * ((shape.channels + warps - 1) / warps)};
  const BackwardArguments<Number> arguments{input, output_gradient, winners, partial_sums};
  visit_constant<3U, 5U>(shape.kernel, [&](auto kernel) {
    launch_kernel(name, weight_parts_kernel<static_cast<int>(kernel()), Number>, grid, stream,
                  ConvPlan(shape, backward_bands(shape)), static_cast<unsigned>(parts), arguments);
  });
}

template void ConvReluPool<float>::launch(CudaStream) const;
template void ConvReluPool<Bf16>::launch(CudaStream) const;
template void ConvReluPoolBackward<float>::launch(CudaStream) const;
template void ConvReluPoolBackward<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
