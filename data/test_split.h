#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

/// Says which examples are trained on and which are tested on, both ascending.
struct TestSplit {
  std::vector<std::size_t> train;
  std::vector<std::size_t> test;
};

/// Takes that share of the examples of every class, rounded, for tests: the same ones in every run. Throws
/// std::invalid_argument where nothing is left to train on, or nothing to test on.
TestSplit split_off_test(std::span<const Label> labels, std::size_t classes, double share);

}  // namespace tardigrad::data
