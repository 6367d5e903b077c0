#pragma once

#include <cstdint>

#include "kernels/operation.h"
#include "kernels/random.h"

namespace tardigrad {

/// Says what the masks of all dropout layers of a network are drawn for: a gradient of a job of a worker.
struct MaskKey {
  std::uint64_t seed = 0;
  std::uint64_t worker = 0;
  std::uint64_t job = 0;

  bool operator==(const MaskKey&) const = default;
};

/// Decides which elements of an activation dropout keeps. Each decision depends on the key, the layer and the
/// number of the element alone, so it is the same in any order, on any device, and in a replay.
class DropoutMask {
 public:
  /// Returns where the mask of a layer starts, by the layer's number in the network.
  static constexpr std::uint64_t start(const MaskKey& key, std::uint64_t layer) {
    return Random(key.seed ^ (layer * splitmix64_step), Purpose::dropout, key.worker, key.job).bits();
  }

  /// Makes the mask that starts there and drops with a probability in [0, 1).
  constexpr DropoutMask(std::uint64_t start, double probability)
      : start_(start), bound_(static_cast<std::uint64_t>(probability * 0x1p32)) {}

  /// Returns the mask of the same probability that starts there.
  TARDIGRAD_HOST_DEVICE constexpr DropoutMask starting_at(std::uint64_t start) const {
    DropoutMask other = *this;
    other.start_ = start;
    return other;
  }

  /// Tells whether it keeps an element, by its number in [batch, channels, height, width].
  TARDIGRAD_HOST_DEVICE constexpr bool keeps(std::uint64_t element) const {
    std::uint64_t state = start_ + element * splitmix64_step;  // SplitMix64's element-th
    return splitmix64(state) >> 32 >= bound_;
  }

 private:
  std::uint64_t start_;
  std::uint64_t bound_;
};

}  // namespace tardigrad
