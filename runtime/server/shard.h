#pragma once

#include <cstddef>
#include <vector>

#include "kernels/mean_of_rows.h"
#include "kernels/square_sums.h"

namespace tardigrad {

/// Says which elements of a run's vectors a server keeps: all of them, or those of one shard of several.
struct Shard {
  /// Is the whole of vectors [dimension].
  Shard(std::size_t dimension) : size(dimension) {}  // NOLINT(google-explicit-constructor)
  Shard(std::size_t first, std::size_t count) : begin(first), size(count) {}

  std::size_t begin = 0;
  std::size_t size;
};

/// Counts the elements of a block. Shards begin at blocks, so that what is summed chunk by chunk has the same
/// terms in each chunk as without shards; and memory is aligned there.
inline constexpr std::size_t shard_block = SquareSums::chunk;
static_assert(shard_block % MeanOfRows::chunk == 0, "a chunk of a drift lies in one shard");

/// Returns how many shards vectors [dimension] can have: one for each block.
constexpr std::size_t most_shards(std::size_t dimension) {
  return (dimension + shard_block - 1) / shard_block;
}

/// Cuts vectors [dimension] into so many shards, which differ by one block at most. The last ends with the
/// vector. Throws std::invalid_argument where there are more shards than blocks.
std::vector<Shard> cut_into_shards(std::size_t dimension, std::size_t count);

}  // namespace tardigrad
