#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

/// Holds an array of the IDX format of MNIST (yann.lecun.com/exdb/mnist): two zero bytes, 0x08 for unsigned
/// bytes, the number of dimensions, each dimension as a big-endian 32-bit integer, then the values, last
/// dimension fastest.
struct IdxArray {
  std::vector<std::uint32_t> dimensions;
  std::vector<std::uint8_t> values;  ///< As many as the product of the dimensions.
};

/// Reads an IDX file of bytes with `rank` dimensions (1 to 255), plain or gzipped.
/// Throws std::invalid_argument naming the file for a wrong magic number, a dimension of 0, fewer values than
/// the header promises (found out before memory is taken for them) or more.
IdxArray read_idx(const std::filesystem::path& path, int rank);

/// Reads grey images [count, height, width] and their labels [count]; labels are bytes or, in a file whose
/// name has idx2-int, QMNIST's integers [count, 8], of which the first counts. Throws as read_idx does, where
/// the counts differ, and for a label that is not below `classes`.
Images read_idx_images(const std::filesystem::path& images_path, const std::filesystem::path& labels_path,
                       int classes, PixelAccess access = PixelAccess::read);

}  // namespace tardigrad::data
