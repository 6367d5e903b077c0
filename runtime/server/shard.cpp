#include "runtime/server/shard.h"

#include <fmt/format.h>

#include <stdexcept>

namespace tardigrad {

std::vector<Shard> cut_into_shards(std::size_t dimension, std::size_t count) {
  const std::size_t blocks = most_shards(dimension);
  if (count > 1 && count > blocks) {
    throw std::invalid_argument(
        fmt::format("--server-shards {}: expected {} or fewer, one for each {} of the {} parameters", count,
                    blocks, shard_block, dimension));
  }
  const auto begin = [&](std::size_t i) { return i == count ? dimension : i * blocks / count * shard_block; };
  std::vector<Shard> shards;
  for (std::size_t i = 0; i < count; ++i) shards.emplace_back(begin(i), begin(i + 1) - begin(i));
  return shards;
}

}  // namespace tardigrad
