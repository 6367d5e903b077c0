#include "data/minibatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "kernels/random.h"

namespace tardigrad::data {

Sampling parse_sampling(std::string_view text) {
  if (text == "shuffle") return Sampling::shuffle;
  if (text == "replacement") return Sampling::replacement;
  if (text == "sequential") return Sampling::sequential;
  throw std::invalid_argument(
      fmt::format("sampling '{}': expected shuffle, replacement or sequential", text));
}

MinibatchStream::MinibatchStream(std::span<const std::uint32_t> examples, std::size_t batch_size,
                                 Sampling sampling, std::uint64_t seed, int worker)
    : examples_(examples),
      batch_size_(batch_size),
      sampling_(sampling),
      seed_(seed),
      worker_(static_cast<std::uint64_t>(worker)) {
  if (examples.empty()) {
    throw std::invalid_argument(fmt::format("worker {} has no examples, expected at least 1", worker));
  }
  if (batch_size == 0) throw std::invalid_argument("batch size 0, expected at least 1");
}

void MinibatchStream::draw(std::uint64_t job, std::span<std::uint32_t> batch) {
  if (batch.size() != batch_size_) {
    throw std::invalid_argument(
        fmt::format("room for a minibatch of {}, expected {}", batch.size(), batch_size_));
  }
  if (sampling_ == Sampling::replacement) return draw_with_replacement(job, batch);

  const std::uint64_t first = job * batch_size_;
  std::uint64_t epoch = first / examples_.size();
  std::size_t position = first % examples_.size();
  for (; !batch.empty(); ++epoch, position = 0) {
    const auto rest = pass(epoch).subspan(position);
    const auto run = rest.first(std::min(rest.size(), batch.size()));
    std::ranges::copy(run, batch.begin());
    batch = batch.subspan(run.size());
  }
}

void MinibatchStream::draw_with_replacement(std::uint64_t job, std::span<std::uint32_t> batch) const {
  Random random(seed_, Purpose::replacement, worker_, job);
  for (std::uint32_t& example : batch) {
    example = examples_[random.below(static_cast<std::uint32_t>(examples_.size()))];
  }
}

std::span<const std::uint32_t> MinibatchStream::pass(std::uint64_t epoch) {
  if (sampling_ == Sampling::sequential) return examples_;
  if (shuffled_.empty() || epoch != shuffled_epoch_) {
    // From file order each time: a pass must not depend on the one drawn before it.
    shuffled_.assign(examples_.begin(), examples_.end());
    Random(seed_, Purpose::epoch, worker_, epoch).shuffle(std::span(shuffled_));
    shuffled_epoch_ = epoch;
  }
  return shuffled_;
}

}  // namespace tardigrad::data
