#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

inline constexpr std::size_t kinds_of_bytes = 256;

/// Returns how often each byte comes in each channel of all images, which have bytes: [channels, 256].
std::vector<std::uint64_t> count_bytes(const Images& images);

/// Normalises data as `how` says: "measured", by the means and standard deviations of the training set;
/// "none", leaving pixels in [0, 1] and floats as they are; or "MEAN:DEVIATION", of which each may be a list
/// with a number for every channel, "0.49,0.48,0.45:0.25,0.24,0.26". Images are normalised by channel, rows
/// of features, where they are measured, each feature by itself; what never varies gets deviation 1. Bytes
/// stay as they are, and only dataset.normalisation says what is to be done; floats are changed. Throws
/// std::invalid_argument saying what was expected.
void normalise(Dataset& dataset, const std::string& how);

}  // namespace tardigrad::data
