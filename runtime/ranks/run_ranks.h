#pragma once

#include <cstddef>

#include "runtime/ranks/rank_layout.h"
#include "runtime/ranks/transport.h"

namespace tardigrad {

/// Says on which ranks a run takes place.
struct RunRanks {
  Transport* transport;
  RankLayout layout;
  bool replicated = false;  ///< every rank keeps the model, and an all-reduce adds up sums (AllReduceServer)
  std::size_t shards = 1;   ///< of the model, on the first ranks, one each (ServerOfShards)
};

}  // namespace tardigrad
