#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "runtime/base/state_archive.h"
#include "runtime/methods/method.h"
#include "runtime/verify/checks.h"

namespace tardigrad {

/// Keeps what is in the rows and in the mean ū, as actions alone tell it, and checks what holds of them
/// whatever the method: a gradient that arrives is used once, before the step; ū follows rows that count
/// alone; at a step it is the mean of those that count, none of them empty, or of gradients whose weights add
/// up to 1. Weights of corrections do, too; but a row that they are measured against may be empty, and
/// counts.
class MeanLedger {
 public:
  static constexpr std::uint64_t any_age = std::numeric_limits<std::uint64_t>::max();

  /// Makes a ledger in which no gradient in a row that counts may be older than `most_age` updates at a step.
  MeanLedger(int workers, ServerMemory memory, std::uint64_t most_age)
      : workers_(workers), memory_(memory), most_age_(most_age) {}

  /// Empties all rows, and makes them count.
  void start();

  /// Follows the actions of one call. `arrival` is null where the call was for none; `version` is k before
  /// it.
  void follow(std::span<const Action> actions, const Arrival* arrival, std::uint64_t version, Checks& checks);

  /// Tells whether ū is the mean of the rows of the main table that count, and nothing was folded in since.
  bool current() const { return memory_.tables > 0 && current_; }
  std::uint64_t folds() const { return folds_; }  ///< that moved ū
  bool counts(int worker) const { return main_[static_cast<std::size_t>(worker)].counts; }

  void visit_state(StateArchive& state);

 private:
  struct Row {
    bool counts = true;
    bool filled = false;
    std::uint64_t oldest = 0;  // version of the oldest gradient in it
  };
  class Following;

  void visit_rows(const char* name, std::vector<Row>& rows, StateArchive& state) const;

  int workers_;
  ServerMemory memory_;
  std::uint64_t most_age_;
  std::vector<Row> main_;
  std::vector<Row> next_;
  bool current_ = true;
  std::uint64_t folds_ = 0;
  double weights_ = 0;  // of the gradients that ū is the sum of, without a table, or of corrections
};

}  // namespace tardigrad
