#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

/// Says what the records of a binary version of CIFAR are: the label is their last byte before the image.
struct CifarRecords {
  int label_bytes = 1;
  int classes = 10;
  std::size_t most = 10'000;  ///< in one of the published files
};

inline constexpr CifarRecords cifar10_records{};
/// Have a coarse label before the fine one.
inline constexpr CifarRecords cifar100_records{.label_bytes = 2, .classes = 100, .most = 50'000};

/// Reads files of the binary versions of CIFAR-10 and CIFAR-100 (www.cs.toronto.edu/~kriz/cifar.html), one
/// after the other: records of labels, and a red, a green and a blue plane of 32×32 pixels in row order.
/// Throws std::invalid_argument naming the file, and the record for a label out of range; a file must hold at
/// least one record, no more than the published ones, and whole ones only.
Images read_cifar(const std::vector<std::filesystem::path>& paths, const CifarRecords& records);

/// Reads files of the Python versions, as torchvision leaves them, likewise: pickles of a dictionary with
/// data, the planes of every image, and labels or fine_labels. Throws std::invalid_argument naming the file.
Images read_cifar_pickles(const std::vector<std::filesystem::path>& paths, const CifarRecords& records);

/// Returns the names of the classes that the pickle `meta` beside them has under that key. Throws likewise.
std::vector<std::string> read_cifar_names(const std::filesystem::path& meta, const std::string& key);

}  // namespace tardigrad::data
