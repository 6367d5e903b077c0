#pragma once

#include <exception>
#include <functional>
#include <map>
#include <string>

#include "runtime/ranks/transport.h"

namespace tardigrad {

/// Is what a rank says of itself before a run begins.
struct RankStatus {
  std::string trouble = {};  ///< why it cannot take part, in one line; empty if it can
  /// Holds what must be the same on all ranks, by a name for people: "--lr", "the program", "the data".
  std::map<std::string, std::string> facts = {};
  /// Returns, on rank 0, what else must hold on another rank, of its part of the run; there it is among the
  /// facts.
  std::function<std::map<std::string, std::string>(int rank)> facts_of_rank = {};
  /// Holds what no two ranks may have in common, by a name for people: "the GPU".
  std::map<std::string, std::string> own = {};
};

/// Ends a rank of which rank 0 has said why, or that of another: it has nothing to add.
class RefusedByRank0 : public std::exception {
 public:
  const char* what() const noexcept override { return "rank 0 says why"; }
};

/// Compares the ranks. Each calls it once, whatever befell it before, so that none waits for another for
/// ever. Where one of them cannot take part, or is another than rank 0, it throws std::invalid_argument on
/// rank 0, with a line that names rank and host, and RefusedByRank0 on the others.
void agree(Transport& transport, const RankStatus& status);

}  // namespace tardigrad
