#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "kernels/gather_images.h"

namespace tardigrad::models {

/// Describes the gathering of `batch` images of a set, normalised. What is left to say are the pointers and,
/// on a GPU, the format. It throws nothing.
GatherImages describe_gather(const data::Images& images, const data::Normalisation& normalisation,
                             std::size_t batch);

/// Is a minibatch as a network on a CPU takes it: gathered from bytes, normalised.
class GatheredBatch {
 public:
  GatheredBatch(const data::ImageShape& shape, std::size_t size)
      : examples_(size), images_(size * shape.size()), labels_(size) {}

  std::span<std::uint32_t> examples() { return examples_; }
  const float* images() const { return images_.data(); }
  const std::int32_t* labels() const { return labels_.data(); }

  /// Gathers the first `count` of examples(), cropped where `crops` is not null.
  void gather(const data::Images& source, const data::Normalisation& normalisation, std::size_t count,
              const Crop* crops);

 private:
  std::vector<std::uint32_t> examples_;
  std::vector<float> images_;
  std::vector<std::int32_t> labels_;
};

}  // namespace tardigrad::models
