#include "models/class_accuracy.h"

#include <cstddef>
#include <numeric>
#include <vector>

namespace tardigrad::models {
namespace {

double share(std::uint64_t part, std::uint64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Evaluation evaluation_of(double loss_sum, std::span<const std::uint8_t> hits,
                         std::span<const data::Label> labels, int classes) {
  std::vector<std::uint64_t> class_hits(static_cast<std::size_t>(classes));
  std::vector<std::uint64_t> class_examples(class_hits.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    class_hits[labels[i]] += hits[i];
    ++class_examples[labels[i]];
  }
  Evaluation evaluation;
  evaluation.loss = loss_sum / static_cast<double>(labels.size());
  evaluation.accuracy =
      share(std::accumulate(class_hits.begin(), class_hits.end(), std::uint64_t{0}), labels.size());
  for (std::size_t c = 0; c < class_hits.size(); ++c) {
    auto& accuracy = evaluation.class_accuracy.emplace_back();
    if (class_examples[c] > 0) accuracy = share(class_hits[c], class_examples[c]);
  }
  return evaluation;
}

}  // namespace tardigrad::models
