#include <cstdint>

#include "kernels/conv_relu_pool_math.h"
#include "kernels/lane_sum.h"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/visit_constant.h"

namespace tardigrad {
namespace {

constexpr int forward_threads = 128;

/// Counts the output channels that a thread computes at once, with each pixel that it has loaded.
constexpr unsigned channels_at_once = 8;

/// Counts the groups of up to so many channels.
__host__ __device__ constexpr std::size_t channel_groups(unsigned channels, unsigned of_a_group) {
  return (channels + of_a_group - 1) / of_a_group;
}

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

  /// Returns the number of bands of all images.
  __host__ __device__ std::size_t all_bands() const { return std::size_t{images} * bands.count; }
  __device__ unsigned first_row(unsigned band) const { return band * bands.rows; }
  /// Returns the number of windows of one channel in a band of an image.
  __device__ unsigned windows_in(unsigned band) const {
    return min(bands.rows, windows_high - first_row(band)) * windows_wide;
  }
};

/// Copies the pixels that the windows of a band read to shared memory, channel by channel. Every thread of
/// the block takes part; the caller synchronises them.
template <int kernel, typename Number>
__device__ void load_band(const ConvPlan& plan, const Number* image, unsigned band, float* to) {
  const unsigned row_floats = plan.bands.row_floats;
  const unsigned plane_floats = plan.bands.plane_floats(kernel);
  unsigned row = 2 * plan.first_row(band) + threadIdx.x / row_floats;
  unsigned column = threadIdx.x % row_floats;
#pragma unroll 2
  for (unsigned i = threadIdx.x; i < plane_floats; i += blockDim.x) {
    float pixels[most_input_channels];  // all of them are on the way before the first is needed
#pragma unroll
    for (unsigned c = 0; c < most_input_channels; ++c) {
      pixels[c] = c < plan.input_channels ? plan.planes.at(image + c * plan.input_channel, row, column) : 0;
    }
#pragma unroll
    for (unsigned c = 0; c < most_input_channels; ++c) {
      if (c < plan.input_channels) to[c * plane_floats + i] = pixels[c];
    }
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
  bool packed;  ///< whether channels_at_once channels of the output lie together, aligned
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

template <typename Number>
struct PooledChannels {
  Number value[channels_at_once];
  std::uint8_t winner[channels_at_once];
};

/// Stores the first `channels` of a window's channels, from `to` on.
template <typename Number>
__device__ void store_channels(const ForwardArguments<Number>& a, const PooledChannels<Number>& pooled,
                               unsigned channels, std::size_t to, std::size_t stride) {
  if (a.packed) {
    constexpr int width = full_width<Number>;
#pragma unroll
    for (int o = 0; o < static_cast<int>(channels_at_once); o += width) {
      Pack<Number, width> pack;
#pragma unroll
      for (int lane = 0; lane < width; ++lane) pack.lane[lane] = pooled.value[o + lane];
      store(a.output + to + o, pack);
    }
    Pack<std::uint8_t, channels_at_once> pack;
#pragma unroll
    for (unsigned o = 0; o < channels_at_once; ++o) pack.lane[o] = pooled.winner[o];
    if (a.winners != nullptr) store(a.winners + to, pack);
    return;
  }
#pragma unroll
  for (unsigned o = 0; o < channels_at_once; ++o) {
    if (o >= channels) break;
    a.output[to + o * stride] = pooled.value[o];
    if (a.winners != nullptr) a.winners[to + o * stride] = pooled.winner[o];
  }
}

/// A block takes one band of one image and channels_at_once output channels at a time, a thread one window
/// of these.
template <int kernel, typename Number>
__global__ void __launch_bounds__(forward_threads)
    conv_relu_pool_kernel(ConvPlan plan, ForwardArguments<Number> a) {
  constexpr unsigned taps = kernel * kernel;
  alignas(16) __shared__ float pixels[band_floats];
  alignas(16) __shared__ float weights[most_input_channels * taps][channels_at_once];
  __shared__ float biases[channels_at_once];
  const std::size_t groups = channel_groups(plan.channels, channels_at_once);
  const unsigned plane_floats = plan.bands.plane_floats(kernel);
  for (std::size_t unit = blockIdx.x; unit < plan.all_bands() * groups; unit += gridDim.x) {
    const unsigned first_channel = static_cast<unsigned>(unit % groups) * channels_at_once;
    const auto band = static_cast<unsigned>(unit / groups % plan.bands.count);
    const std::size_t n = unit / groups / plan.bands.count;
    const unsigned channels = min(channels_at_once, plan.channels - first_channel);
    const unsigned weights_of_one = plan.input_channels * taps;
    for (unsigned i = threadIdx.x; i < weights_of_one * channels_at_once; i += blockDim.x) {
      const unsigned o = i / weights_of_one;
      const std::size_t from = std::size_t{first_channel + o} * weights_of_one + i % weights_of_one;
      weights[i % weights_of_one][o] = o < channels ? a.weight[from] : 0;
    }
    if (threadIdx.x < channels) biases[threadIdx.x] = a.bias[first_channel + threadIdx.x];
    load_band<kernel>(plan, a.input + n * plan.image, band, pixels);
    __syncthreads();
    for (unsigned window = threadIdx.x; window < plan.windows_in(band); window += blockDim.x) {
      const unsigned y = window / plan.windows_wide;
      const unsigned x = window % plan.windows_wide;
      float sums[4][channels_at_once] = {};
      for (unsigned c = 0; c < plan.input_channels; ++c) {
        add_products<kernel>(pixels + c * plane_floats + 2 * y * plan.bands.row_floats + 2 * x,
                             plan.bands.row_floats, weights + c * taps, sums);
      }
      PooledChannels<Number> result;
#pragma unroll
      for (unsigned o = 0; o < channels_at_once; ++o) {
        const Pooled pooled =
            pool_window(sums[0][o], sums[1][o], sums[2][o], sums[3][o], o < channels ? biases[o] : 0);
        result.value[o] = nearest<Number>(pooled.value);
        result.winner[o] = pooled.winner;
      }
      const WindowPlace place{n, plan.first_row(band) + y, x};
      store_channels(a, result, channels, place.output(plan.out) + first_channel * plan.out.channel,
                     plan.out.channel);
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

/// Counts the windows whose gradients a block keeps in shared memory at once.
constexpr unsigned windows_at_once = 64;

/// Holds the gradients of some windows, of the output channels that the lanes of a warp have. A column more
/// than there are lanes lets threads write a lane's windows, too, to different banks.
struct WindowGradients {
  float gradient[windows_at_once][warp_lanes + 1];
  std::int16_t winner[windows_at_once][warp_lanes + 1];  ///< its place among a plane's pixels, or negative
};

/// Loads those of `count` windows of a band from `first` on. Every thread of the block takes part, neighbours
/// what lies together; the caller synchronises them.
template <typename Number>
__device__ void load_gradients(const ConvPlan& plan, const BackwardArguments<Number>& a, std::size_t n,
                               unsigned band, unsigned first, unsigned count, unsigned first_channel,
                               WindowGradients& to) {
  const bool channels_together = plan.out.channel == 1;
  for (unsigned i = threadIdx.x; i < windows_at_once * warp_lanes; i += blockDim.x) {
    const unsigned window = channels_together ? i / warp_lanes : i % windows_at_once;
    const unsigned lane = channels_together ? i % warp_lanes : i / windows_at_once;
    if (window >= count || first_channel + lane >= plan.channels) continue;
    const unsigned y = (first + window) / plan.windows_wide;
    const unsigned x = (first + window) % plan.windows_wide;
    const std::size_t at = WindowPlace{n, plan.first_row(band) + y, x}.output(plan.out) +
                           (first_channel + lane) * plan.out.channel;
    const unsigned winner = a.winners[at];
    to.gradient[window][lane] = widen(a.output_gradient[at]);
    const unsigned place = (2 * y + winner / 2) * plan.bands.row_floats + 2 * x + winner % 2;
    to.winner[window][lane] = static_cast<std::int16_t>(winner < no_winner ? static_cast<int>(place) : -1);
  }
}

/// Counts the warps of a block that share the windows of one input channel.
__host__ __device__ constexpr unsigned warps_of_a_channel(unsigned input_channels) {
  return threads_per_block / warp_lanes / input_channels;
}

/// Is how many blocks are to fit beside each other on a multiprocessor: as many as need no register spilled.
template <int kernel>
constexpr int resident_at_least = kernel == 3 ? 4 : 3;

/// A block takes one part of the batch and a group of output channels at a time; a warp takes one input
/// channel and some of the windows, a lane one of the output channels.
template <int kernel, typename Number>
__global__ void __launch_bounds__(threads_per_block, resident_at_least<kernel>)
    weight_parts_kernel(ConvPlan plan, std::size_t parts, BackwardArguments<Number> a) {
  constexpr unsigned taps = kernel * kernel;
  __shared__ float pixels[band_floats];
  __shared__ WindowGradients gradients;
  const unsigned lane = threadIdx.x % warp_lanes;
  const unsigned c = threadIdx.x / warp_lanes % plan.input_channels;
  const unsigned slice = threadIdx.x / warp_lanes / plan.input_channels;
  const unsigned slices = warps_of_a_channel(plan.input_channels);
  const std::size_t groups = channel_groups(plan.channels, warp_lanes);
  const float* const plane = pixels + c * plan.bands.plane_floats(kernel);
  for (std::size_t unit = blockIdx.x; unit < parts * groups; unit += gridDim.x) {
    const std::size_t part = unit / groups;
    const unsigned first_channel = static_cast<unsigned>(unit % groups) * warp_lanes;
    const bool active = first_channel + lane < plan.channels;
    float sums[taps + 1] = {};  // the last one of the bias
    for (std::size_t i = part; i < plan.all_bands(); i += parts) {
      const std::size_t n = i / plan.bands.count;
      const auto band = static_cast<unsigned>(i % plan.bands.count);
      const unsigned windows = plan.windows_in(band);
      load_band<kernel>(plan, a.input + n * plan.image, band, pixels);
      for (unsigned first = 0; first < windows; first += windows_at_once) {
        const unsigned count = min(windows_at_once, windows - first);
        load_gradients(plan, a, n, band, first, count, first_channel, gradients);
        __syncthreads();
        for (unsigned window = slice; active && window < count; window += slices) {
          const int winner = gradients.winner[window][lane];
          if (winner < 0) continue;
          const float gradient = gradients.gradient[window][lane];
          const float* const read = plane + winner;
#pragma unroll
          for (unsigned tap = 0; tap < taps; ++tap) {
            const float pixel = read[tap / kernel * plan.bands.row_floats + tap % kernel];
            sums[tap] = multiply_add(gradient, pixel, sums[tap]);
          }
          sums[taps] += gradient;
        }
        __syncthreads();  // before others take the place of these
      }
    }
    // The slices are added where the pixels have been: those of all but the first have room there.
    static_assert((threads_per_block - warp_lanes) * (taps + 1) <= band_floats);
    const auto sum_of = [&](unsigned other, unsigned tap) -> float& {
      return pixels[(((other - 1) * plan.input_channels + c) * (taps + 1) + tap) * warp_lanes + lane];
    };
    if (slice > 0) {
#pragma unroll
      for (unsigned tap = 0; tap <= taps; ++tap) sum_of(slice, tap) = sums[tap];
    }
    __syncthreads();
    const std::size_t weights = std::size_t{plan.input_channels} * taps;
    float* const to = a.partial_sums + part * (weights + 1) * plan.channels + first_channel + lane;
    if (slice == 0 && active) {
#pragma unroll
      for (unsigned tap = 0; tap <= taps; ++tap) {
        for (unsigned other = 1; other < slices; ++other) sums[tap] += sum_of(other, tap);
        if (tap < taps) {
          to[(c * taps + tap) * plan.channels] = sums[tap];
        } else if (c == 0) {
          to[weights * plan.channels] = sums[tap];
        }
      }
    }
    __syncthreads();  // before another band takes the place of these sums
  }
}

}  // namespace

template <typename Number>
void ConvReluPool<Number>::launch(CudaStream stream) const {
  if (shape.output_size() == 0) return;
  check(*this);
  const ConvPlan plan(shape, forward_bands(shape));
  const Grid grid{plan.all_bands() * channel_groups(plan.channels, channels_at_once), forward_threads};
  const bool packed = plan.out.channel == 1 && plan.channels % channels_at_once == 0 &&
                      is_aligned<full_width<Number>>(output) && is_aligned<channels_at_once>(winners);
  const ForwardArguments<Number> arguments{input, weight, bias, output, winners, packed};
  visit_constant<3U, 5U>(shape.kernel, [&](auto kernel) {
    launch_kernel(name, conv_relu_pool_kernel<static_cast<int>(kernel()), Number>, grid, stream, plan,
                  arguments);
  });
}

template <typename Number>
void ConvReluPoolBackward<Number>::launch(CudaStream stream) const {
  if (shape.output_size() == 0) return;
  check(*this);
  const ConvPlan plan(shape, backward_bands(shape));
  const std::size_t parts = parts_of(shape);
  const unsigned warps = warps_of_a_channel(plan.input_channels) * plan.input_channels;
  const Grid grid{parts * channel_groups(plan.channels, warp_lanes), static_cast<int>(warps * warp_lanes)};
  const BackwardArguments<Number> arguments{input, output_gradient, winners, partial_sums};
  visit_constant<3U, 5U>(shape.kernel, [&](auto kernel) {
    launch_kernel(name, weight_parts_kernel<static_cast<int>(kernel()), Number>, grid, stream, plan, parts,
                  arguments);
  });
}

template void ConvReluPool<float>::launch(CudaStream) const;
template void ConvReluPool<Bf16>::launch(CudaStream) const;
template void ConvReluPoolBackward<float>::launch(CudaStream) const;
template void ConvReluPoolBackward<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
