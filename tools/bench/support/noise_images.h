#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "data/dataset.h"
#include "kernels/random.h"
#include "models/classification.h"
#include "models/networks/built_in_networks.h"

namespace tardigrad::bench {

/// As many images as the real sets have, of noise: CIFAR-10's shape for the cnn, MNIST's for the mlp.
inline std::shared_ptr<const data::Dataset> noise_images(const std::string& architecture) {
  Random random({1, 2, 3, 4});
  const auto fill = [&](std::size_t count) {
    data::Images images;
    images.shape = architecture == "mlp" ? data::ImageShape{1, 28, 28} : data::ImageShape{3, 32, 32};
    images.pixels.resize(count * images.shape.size());
    images.labels.resize(count);
    for (std::uint8_t& pixel : images.pixels) pixel = static_cast<std::uint8_t>(random.bits());
    for (data::Label& label : images.labels) label = static_cast<data::Label>(random.below(10));
    return images;
  };
  return std::make_shared<const data::Dataset>(
      data::Dataset{.name = "noise",
                    .train = fill(50000),
                    .test = fill(1),
                    .classes = 10,
                    .normalisation = {.mean = {0.5F, 0.5F, 0.5F}, .deviation = {0.25F, 0.25F, 0.25F}}});
}

/// Classifies those.
inline models::Classification classify(std::shared_ptr<const data::Dataset> dataset,
                                       const std::string& architecture,
                                       const models::ClassificationOptions& options) {
  models::Architecture network =
      models::make_architecture(architecture, dataset->train.shape, dataset->classes);
  return {std::move(dataset), std::move(network), options};
}

}  // namespace tardigrad::bench
