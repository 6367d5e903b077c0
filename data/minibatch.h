#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tardigrad::data {

/// Says how a worker goes through its examples.
enum class Sampling {
  shuffle,      ///< One random order after another, each holding every example once.
  replacement,  ///< Every example drawn by itself, uniformly.
  sequential,   ///< In file order from the first, over and over.
};

/// Reads "shuffle", "replacement" or "sequential". Throws std::invalid_argument saying what was expected.
Sampling parse_sampling(std::string_view text);

/// Draws the minibatches of one worker. With `shuffle` and `sequential` they cut one endless stream of
/// examples: job j has its positions j·B to (j+1)·B, so a minibatch may reach over the end of a pass, and
/// over whole passes where it is larger than the worker's share.
///
/// Calls in the order of the jobs cost O(B); with `shuffle`, a jump to another pass costs O(examples) once,
/// and the current pass is kept (4 bytes an example). One thread at a time may draw.
class MinibatchStream {
 public:
  /// Takes the worker's share, in file order. `examples` is not copied: it must outlive the stream. Throws
  /// std::invalid_argument where it is empty, or `batch_size` is 0.
  MinibatchStream(std::span<const std::uint32_t> examples, std::size_t batch_size, Sampling sampling,
                  std::uint64_t seed, int worker);

  /// Writes the examples of job `job` (counted from 0) to `batch`, of size batch_size(). What they are
  /// depends on seed, worker and job only, not on earlier calls. Throws std::invalid_argument for a `batch`
  /// of another size.
  void draw(std::uint64_t job, std::span<std::uint32_t> batch);

  std::size_t batch_size() const { return batch_size_; }
  std::size_t example_count() const { return examples_.size(); }

 private:
  void draw_with_replacement(std::uint64_t job, std::span<std::uint32_t> batch) const;
  /// Returns the order of pass `epoch`.
  std::span<const std::uint32_t> pass(std::uint64_t epoch);

  std::span<const std::uint32_t> examples_;
  std::size_t batch_size_;
  Sampling sampling_;
  std::uint64_t seed_;
  std::uint64_t worker_;
  std::uint64_t shuffled_epoch_ = 0;
  std::vector<std::uint32_t> shuffled_;  ///< Pass `shuffled_epoch_`; empty before the first draw.
};

}  // namespace tardigrad::data
