#include "models/network.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "models/layers/cross_entropy.h"

namespace tardigrad::models {

Network::Network(const Architecture& architecture, int batch_size, Layers layers)
    : batch_size_(batch_size),
      classes_(architecture.classes()),
      layers_(std::move(layers)),
      image_size_(architecture.input().size()),
      padded_images_(image_size_ * batch_size) {}

float Network::gradient_of(const float* parameters, const float* images, const std::int32_t* labels,
                           int count, float* gradient) {
  images = whole_batch(images, count);
  layers_.use_masks(masks_);
  float* logits = layers_.forward(parameters, images);
  const double loss_sum = plain::cross_entropy(count, classes_, logits, labels, logits);
  const auto padding = static_cast<std::ptrdiff_t>(batch_size_ - count) * classes_;  // has no part in it
  std::fill_n(logits + static_cast<std::ptrdiff_t>(count) * classes_, padding, 0.0F);
  layers_.backward(parameters, images, logits, nullptr, gradient);
  return static_cast<float>(loss_sum / count);
}

double Network::evaluate(const float* parameters, const float* images, const std::int32_t* labels, int count,
                         std::uint8_t* hits) {
  layers_.use_masks(std::nullopt);
  const float* logits = layers_.forward(parameters, whole_batch(images, count));
  return plain::cross_entropy<float>(count, classes_, logits, labels, nullptr, hits);
}

void Network::logits(const float* parameters, const float* images, int count, float* logits) {
  layers_.use_masks(std::nullopt);
  std::copy_n(layers_.forward(parameters, whole_batch(images, count)), count * classes_, logits);
}

const float* Network::whole_batch(const float* images, int count) {
  if (count == batch_size_) return images;
  const auto end = std::copy_n(images, count * image_size_, padded_images_.begin());
  std::fill(end, padded_images_.end(), 0.0F);
  return padded_images_.data();
}

}  // namespace tardigrad::models
