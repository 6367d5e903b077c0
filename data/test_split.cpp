#include "data/test_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/random.h"

namespace tardigrad::data {

TestSplit split_off_test(std::span<const Label> labels, std::size_t classes, double share) {
  std::vector<std::vector<std::size_t>> of_class(classes);
  for (std::size_t i = 0; i < labels.size(); ++i) of_class[labels[i]].push_back(i);
  TestSplit split;
  Random random(0, Purpose::test_share);
  for (std::vector<std::size_t>& examples : of_class) {
    random.shuffle(std::span(examples));
    const auto count = static_cast<std::ptrdiff_t>(std::lround(share * static_cast<double>(examples.size())));
    split.test.insert(split.test.end(), examples.begin(), examples.begin() + count);
    split.train.insert(split.train.end(), examples.begin() + count, examples.end());
  }
  if (split.test.empty() || split.train.empty()) {
    throw std::invalid_argument(
        fmt::format("a test share of {} of {} examples leaves {} to train on and {} to test on; expected at "
                    "least one of each",
                    share, labels.size(), split.train.size(), split.test.size()));
  }
  std::ranges::sort(split.train);
  std::ranges::sort(split.test);
  return split;
}

}  // namespace tardigrad::data
