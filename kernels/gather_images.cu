#include "kernels/gather_images.h"

#include <algorithm>
#include <cstdint>

#include "kernels/gather_images_math.h"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"

namespace tardigrad {
namespace {

/// What the kernels read; they write to a pointer of its own type. A parameter of theirs that stays where it
/// is (__grid_constant__), or else picking a channel's scale would copy all of it to every thread's memory.
template <typename Pixel>
struct Source {
  std::size_t batch;
  std::size_t channels;
  int height;
  int width;
  const Pixel* images;
  const std::uint16_t* labels;
  const std::uint32_t* indices;
  const Crop* crops;
  Normalization normalization;

  __host__ __device__ std::size_t pixels() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }
};

/// Pixels `i` to `i` + `count` of one channel; cropped, they are of one row of the result.
template <bool cropped, int count, typename Pixel>
__device__ Pack<Pixel, count> load_pixels(const Source<Pixel>& source, const Pixel* plane, Crop crop,
                                          std::size_t i) {
  if constexpr (!cropped) {
    return load<count>(plane + i);
  } else {
    const int y = static_cast<int>(i) / source.width;
    const int x = static_cast<int>(i) % source.width;
    Pack<Pixel, count> pixels;
#pragma unroll
    for (int lane = 0; lane < count; ++lane) {
      pixels.lane[lane] = cropped_pixel(plane, source.height, source.width, crop, y, x + lane);
    }
    return pixels;
  }
}

/// Channel-major. A block takes one channel of one image at a time, a thread `count` pixels of it.
template <bool cropped, int count, typename Pixel, typename Number>
__global__ void __launch_bounds__(threads_per_block)
    gather_planes_kernel(const __grid_constant__ Source<Pixel> source, Number* __restrict__ out_images,
                         std::int32_t* __restrict__ out_labels) {
  const std::size_t pixels = source.pixels();
  for (std::size_t plane = blockIdx.x; plane < source.batch * source.channels; plane += gridDim.x) {
    const std::size_t k = plane / source.channels;
    const std::size_t channel = plane % source.channels;
    const std::size_t index = source.indices[k];
    const Pixel* from = source.images + (index * source.channels + channel) * pixels;
    const Crop crop = cropped ? source.crops[k] : Crop{};
    const float scale = source.normalization.scale[channel];
    const float shift = source.normalization.shift[channel];
    for (std::size_t i = threadIdx.x * std::size_t{count}; i < pixels; i += blockDim.x * std::size_t{count}) {
      const auto values = load_pixels<cropped, count>(source, from, crop, i);
      Pack<Number, count> normalized;
#pragma unroll
      for (int lane = 0; lane < count; ++lane) {
        normalized.lane[lane] = nearest<Number>(normalize(values.lane[lane], scale, shift));
      }
      store(out_images + plane * pixels + i, normalized);
    }
    if (channel == 0 && threadIdx.x == 0) out_labels[k] = source.labels[index];
  }
}

/// Channels last. A block takes one of the `pieces` of an image at a time, a thread one pixel of it, of which
/// it writes all channels, `count` at once.
template <bool cropped, int count, typename Pixel, typename Number>
__global__ void __launch_bounds__(threads_per_block)
    gather_pixels_kernel(const __grid_constant__ Source<Pixel> source, std::size_t pieces,
                         std::size_t out_channels, Number* __restrict__ out_images,
                         std::int32_t* __restrict__ out_labels) {
  const std::size_t pixels = source.pixels();
  for (std::size_t unit = blockIdx.x; unit < source.batch * pieces; unit += gridDim.x) {
    const std::size_t k = unit / pieces;
    const std::size_t i = unit % pieces * blockDim.x + threadIdx.x;
    const std::size_t index = source.indices[k];
    if (i == 0) out_labels[k] = source.labels[index];
    if (i >= pixels) continue;
    const Crop crop = cropped ? source.crops[k] : Crop{};
    const Pixel* image = source.images + index * source.channels * pixels;
    for (std::size_t first = 0; first < out_channels; first += count) {
      Pack<Number, count> normalized;
#pragma unroll
      for (int lane = 0; lane < count; ++lane) {
        const std::size_t channel = first + static_cast<std::size_t>(lane);
        float value = 0;
        if (channel < source.channels) {
          const auto pixel = load_pixels<cropped, 1>(source, image + channel * pixels, crop, i);
          value = normalize(pixel.lane[0], source.normalization.scale[channel],
                            source.normalization.shift[channel]);
        }
        normalized.lane[lane] = nearest<Number>(value);
      }
      store(out_images + (k * pixels + i) * out_channels + first, normalized);
    }
  }
}

template <bool cropped, typename Pixel, typename Number>
void launch_planes(const Source<Pixel>& source, Number* out_images, std::int32_t* out_labels,
                   CudaStream stream) {
  // Whole images are read four pixels at once, too; cropped ones pixel by pixel, but within a row.
  const bool in_fours =
      cropped ? source.width % 4 == 0 : source.pixels() % 4 == 0 && is_aligned<4>(source.images);
  const auto kernel = in_fours && is_aligned<4>(out_images) ? gather_planes_kernel<cropped, 4, Pixel, Number>
                                                            : gather_planes_kernel<cropped, 1, Pixel, Number>;
  launch_kernel(GatherImages::name, kernel, {source.batch * source.channels}, stream, source, out_images,
                out_labels);
}

template <bool cropped, typename Pixel, typename Number>
void launch_pixels(const Source<Pixel>& source, std::size_t out_channels, Number* out_images,
                   std::int32_t* out_labels, CudaStream stream) {
  constexpr int full = full_width<Number>;
  auto* kernel = gather_pixels_kernel<cropped, 1, Pixel, Number>;
  if (out_channels % full == 0 && is_aligned<full>(out_images)) {
    kernel = gather_pixels_kernel<cropped, full, Pixel, Number>;
  } else if (out_channels % 4 == 0 && is_aligned<4>(out_images)) {
    kernel = gather_pixels_kernel<cropped, 4, Pixel, Number>;
  }
  const std::size_t pieces = std::max(grid_for(source.pixels()).blocks, std::size_t{1});
  launch_kernel(GatherImages::name, kernel, {source.batch * pieces}, stream, source, pieces, out_channels,
                out_images, out_labels);
}

}  // namespace

void GatherImages::launch(CudaStream stream) const {
  if (batch == 0) return;
  check(*this);
  visit_input(*this, [&]<typename Pixel>(const Pixel* pixels) {
    const Source<Pixel> source{.batch = batch,
                               .channels = channels,
                               .height = static_cast<int>(height),
                               .width = static_cast<int>(width),
                               .images = pixels,
                               .labels = labels,
                               .indices = indices,
                               .crops = crops,
                               .normalization = normalization_of(*this)};
    visit_output(*this, [&](auto* out) {
      visit_constant<false, true>(crops != nullptr, [&](auto cropped) {
        if (out_format == MemoryFormat::channel_major) {
          launch_planes<decltype(cropped)::value>(source, out, out_labels, stream);
        } else {
          launch_pixels<decltype(cropped)::value>(source, out_channels_of(*this), out, out_labels, stream);
        }
      });
    });
  });
}

}  // namespace tardigrad
