#pragma once

#include "data/dataset.h"
#include "kernels/gather_images.h"

namespace tardigrad::models {

/// Describes the gathering of `batch` images of a set, normalised. What is left to say are the pointers and,
/// on a GPU, the format. It throws nothing.
GatherImages describe_gather(const data::Images& images, const data::Normalisation& normalisation,
                             std::size_t batch);

}  // namespace tardigrad::models
