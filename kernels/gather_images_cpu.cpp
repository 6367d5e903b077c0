#include <stdexcept>
#include <string>

#include "kernels/gather_images.h"
#include "kernels/gather_images_math.h"

namespace tardigrad {
namespace {

/// One channel of one image: converted, multiplied and added a vector at a time (a third faster than a table
/// of 256 values).
void normalize_plane(std::size_t pixels, const std::uint8_t* __restrict from, float scale, float shift,
                     float* __restrict to) {
  for (std::size_t i = 0; i < pixels; ++i) {
    to[i] = normalize(from[i], scale, shift);
  }
}

void check_indices(const GatherImages& gather) {
  for (std::size_t k = 0; k < gather.batch; ++k) {
    if (gather.indices[k] >= gather.count) {
      throw std::out_of_range(std::string(GatherImages::name) + ": index " +
                              std::to_string(gather.indices[k]) + " at position " + std::to_string(k) +
                              ", expected below " + std::to_string(gather.count));
    }
  }
}

}  // namespace

Normalization normalization_of(const GatherImages& gather) {
  Normalization normalization{};
  for (std::size_t c = 0; c < gather.channels; ++c) {
    const auto deviation = static_cast<double>(gather.deviation[c]);
    normalization.scale[c] = static_cast<float>(1 / (255 * deviation));
    normalization.shift[c] = static_cast<float>(-static_cast<double>(gather.mean[c]) / deviation);
  }
  return normalization;
}

void check(const GatherImages& gather) {
  const std::string prefix = std::string(GatherImages::name) + ": ";
  if (gather.channels == 0 || gather.channels > GatherImages::max_channels) {
    throw std::logic_error(prefix + std::to_string(gather.channels) + " channels, expected 1 to " +
                           std::to_string(GatherImages::max_channels));
  }
  for (std::size_t c = 0; c < gather.channels; ++c) {
    if (gather.deviation[c] == 0) {
      throw std::logic_error(prefix + "the deviation of channel " + std::to_string(c) + " is 0");
    }
  }
  if (gather.images == nullptr || gather.labels == nullptr || gather.indices == nullptr ||
      gather.out_images == nullptr || gather.out_labels == nullptr) {
    throw std::logic_error(prefix + "a pointer is null");
  }
}

void GatherImages::run() const {
  if (batch == 0) {
    return;
  }
  check(*this);
  check_indices(*this);
  const Normalization normalization = normalization_of(*this);
  const std::size_t pixels = height * width;
  for (std::size_t k = 0; k < batch; ++k) {
    const std::size_t index = indices[k];
    out_labels[k] = labels[index];
    for (std::size_t c = 0; c < channels; ++c) {
      normalize_plane(pixels, images + (index * channels + c) * pixels, normalization.scale[c],
                      normalization.shift[c], out_images + (k * channels + c) * pixels);
    }
  }
}

double GatherImages::bytes() const {
  const double image_bytes =
      static_cast<double>(channels * height * width) * (sizeof(std::uint8_t) + sizeof(float));
  const double label_bytes = sizeof(std::uint8_t) + sizeof(std::int32_t);
  return static_cast<double>(batch) * (image_bytes + label_bytes + sizeof(std::uint32_t));
}

double GatherImages::flops() const { return 2.0 * static_cast<double>(batch * channels * height * width); }

}  // namespace tardigrad
