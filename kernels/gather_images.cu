#include <cstdint>

#include "kernels/gather_images.h"
#include "kernels/gather_images_math.h"
#include "kernels/launch.cuh"

namespace tardigrad {
namespace {

bool is_aligned(const void* pointer, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

__device__ float4 normalize_each(uchar4 pixel, float scale, float shift) {
  return {normalize(pixel.x, scale, shift), normalize(pixel.y, scale, shift),
          normalize(pixel.z, scale, shift), normalize(pixel.w, scale, shift)};
}

__device__ float normalize_each(std::uint8_t pixel, float scale, float shift) {
  return normalize(pixel, scale, shift);
}

/// A block takes one channel of one image at a time. `In` → `Out` are uchar4 → float4, or a single pixel
/// where the size of a channel or a pointer does not allow for that; `items` is the size of a channel counted
/// in them.
template <typename In, typename Out>
__global__ void __launch_bounds__(threads_per_block)
    gather_images_kernel(std::size_t batch, std::size_t channels, std::size_t items,
                         const In* __restrict__ images, const std::uint8_t* __restrict__ labels,
                         const std::uint32_t* __restrict__ indices, Out* __restrict__ out_images,
                         std::int32_t* __restrict__ out_labels, Normalization normalization) {
  for (std::size_t plane = blockIdx.x; plane < batch * channels; plane += gridDim.x) {
    const std::size_t k = plane / channels;
    const std::size_t channel = plane % channels;
    const std::size_t index = indices[k];
    const In* from = images + (index * channels + channel) * items;
    Out* to = out_images + plane * items;
    for (std::size_t i = threadIdx.x; i < items; i += blockDim.x) {
      to[i] = normalize_each(from[i], normalization.scale[channel], normalization.shift[channel]);
    }
    if (channel == 0 && threadIdx.x == 0) {
      out_labels[k] = labels[index];
    }
  }
}

}  // namespace

void GatherImages::launch(CudaStream stream) const {
  if (batch == 0) {
    return;
  }
  check(*this);
  const std::size_t pixels = height * width;
  const Normalization normalization = normalization_of(*this);
  const auto launch_as = [&]<typename In, typename Out>(In /*pixels*/, Out /*values*/) {
    launch_kernel(name, gather_images_kernel<In, Out>, {batch * channels}, stream, batch, channels,
                  pixels / sizeof(In), reinterpret_cast<const In*>(images), labels, indices,
                  reinterpret_cast<Out*>(out_images), out_labels, normalization);
  };
  if (pixels % 4 == 0 && is_aligned(images, alignof(uchar4)) && is_aligned(out_images, alignof(float4))) {
    launch_as(uchar4{}, float4{});
  } else {
    launch_as(std::uint8_t{}, 0.0F);
  }
}

}  // namespace tardigrad
