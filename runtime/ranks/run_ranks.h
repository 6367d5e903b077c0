#pragma once

#include "runtime/ranks/rank_layout.h"
#include "runtime/ranks/transport.h"

namespace tardigrad {

/// Says on which ranks a run takes place.
struct RunRanks {
  Transport* transport;
  RankLayout layout;
  bool replicated = false;  ///< every rank keeps the model, and an all-reduce adds up sums (AllReduceServer)
};

}  // namespace tardigrad
