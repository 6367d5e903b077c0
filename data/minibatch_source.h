#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/batch_sizes.h"
#include "data/minibatch.h"
#include "kernels/crop.h"

namespace tardigrad::data {

/// Draws what the jobs of all workers need: their examples and, for augmentation, how each is cropped and
/// flipped. Both are functions of seed, worker and job alone, the same on every device.
///
/// The minibatches of one worker are drawn by one thread at a time, those of different workers by any.
class MinibatchSource {
 public:
  /// Is how many pixels around an image a crop may reach into, as usual for CIFAR-10 (He et al. 2015).
  static constexpr int padding = 4;

  /// Takes the examples of each worker, `shares`, and sizes that are good for so many workers. Throws as
  /// MinibatchStream does.
  MinibatchSource(std::vector<std::vector<std::uint32_t>> shares, const BatchSizes& batch_sizes,
                  Sampling sampling, std::uint64_t seed, bool augment);

  /// Returns how many examples the worker's minibatches have.
  std::size_t batch_size(int worker) const { return streams_[static_cast<std::size_t>(worker)].batch_size(); }
  /// Returns the examples of each worker.
  const std::vector<std::vector<std::uint32_t>>& shares() const { return shares_; }
  bool augments() const { return augment_; }

  /// Writes the examples of a job [batch_size(worker)], and, where it augments, their crops [as many]. It
  /// does not look at `crops` otherwise.
  void draw(int worker, std::uint64_t job, std::span<std::uint32_t> examples, std::span<Crop> crops);

 private:
  std::uint64_t seed_;
  bool augment_;
  std::vector<std::vector<std::uint32_t>> shares_;
  std::vector<MinibatchStream> streams_;  // views of the shares
};

}  // namespace tardigrad::data
