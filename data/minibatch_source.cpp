#include "data/minibatch_source.h"

#include <algorithm>
#include <utility>

namespace tardigrad::data {

MinibatchSource::MinibatchSource(std::vector<std::vector<std::uint32_t>> shares,
                                 const BatchSizes& batch_sizes, Sampling sampling, std::uint64_t seed,
                                 bool augment)
    : seed_(seed), augment_(augment), shares_(std::move(shares)) {
  streams_.reserve(shares_.size());
  for (std::size_t worker = 0; worker < shares_.size(); ++worker) {
    const int number = static_cast<int>(worker);
    streams_.emplace_back(shares_[worker], batch_sizes.of(number), sampling, seed, number);
  }
}

void MinibatchSource::draw(int worker, std::uint64_t job, std::span<std::uint32_t> examples,
                           std::span<Crop> crops) {
  streams_[static_cast<std::size_t>(worker)].draw(job, examples);
  if (!augment_) return;
  Random random(seed_, Purpose::augment, static_cast<std::uint64_t>(worker), job);
  std::ranges::generate(crops, [&random] { return random_crop(random, padding); });
}

}  // namespace tardigrad::data
