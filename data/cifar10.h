#pragma once

#include <filesystem>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

/// Reads files of the CIFAR-10 binary version (www.cs.toronto.edu/~kriz/cifar.html), one after the other:
/// records of 3073 bytes, a label 0 to 9 and a red, a green and a blue plane of 32×32 pixels in row order.
/// Throws std::invalid_argument naming the file, and the record for a label out of range; a file must hold at
/// least one record, at most 10000, and whole ones only.
Images read_cifar10(const std::vector<std::filesystem::path>& paths);

}  // namespace tardigrad::data
