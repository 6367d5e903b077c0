#pragma once

#include "data/dataset.h"
#include "kernels/gather_images.h"

namespace tardigrad::models {

/// The gathering of `batch` images of a set, normalised; what is left to say are the pointers and, on a GPU,
/// the format. Throws nothing.
GatherImages describe_gather(const data::Images& images, const data::Normalisation& normalisation,
                             std::size_t batch);

}  // namespace tardigrad::models
