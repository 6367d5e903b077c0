#include "runtime/verify/mean_ledger.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

namespace tardigrad {

void MeanLedger::start() {
  main_.assign(static_cast<std::size_t>(workers_), {});
  next_ = main_;
  current_ = true;
  folds_ = 0;
  weights_ = 0;
}

/// One call's actions, one by one.
class MeanLedger::Following {
 public:
  Following(MeanLedger& ledger, const Arrival* arrival, std::uint64_t version, Checks& checks)
      : ledger_(ledger), arrival_(arrival), version_(version), checks_(checks) {}

  void operator()(const FoldRow& fold) {
    use_gradient("a fold");
    follow_fold(fold);
  }

  void operator()(const Correct& correct) {
    use_gradient("a correction");
    checks_.require(ledger_.memory_.corrected, "corrections go into a corrected mean that is kept");
    ledger_.weights_ = (correct.restart ? 0 : ledger_.weights_) + static_cast<double>(correct.weight);
    follow_fold(FoldRow{correct.worker});
  }

  void operator()(const Accumulate& sum) {
    use_gradient("a sum");
    checks_.require(ledger_.memory_.mean && ledger_.memory_.tables == 0, "sums go into a mean without rows");
    ledger_.weights_ = (sum.restart ? 0 : ledger_.weights_) + static_cast<double>(sum.weight);
  }

  void operator()(const ScaleMean& scale) { ledger_.weights_ *= scale.factor; }

  void operator()(const AverageRows&) { ledger_.current_ = true; }

  void operator()(const CountRow& row) {
    ledger_.main_.at(static_cast<std::size_t>(row.worker)).counts = row.counts;
    if (row.update_mean) {
      checks_.require(ledger_.current_,
                      "a row enters or leaves the mean of the rows: it is not that since a fold");
      ++ledger_.folds_;
    } else {
      ledger_.current_ = false;
    }
  }

  void operator()(const SwapTables&) {
    checks_.require(ledger_.memory_.tables == 2, "tables are exchanged where there are two");
    std::swap(ledger_.main_, ledger_.next_);
    for (Row& row : ledger_.next_) row.filled = false;
    ledger_.current_ = false;
  }

  void operator()(const Step&) {
    if (ledger_.memory_.corrected) step_along_sum();
    if (ledger_.memory_.tables > 0) {
      step_along_rows();
    } else if (ledger_.memory_.mean) {
      step_along_sum();
    } else {
      use_gradient("a step");
    }
    stepped_ = true;
  }

  void operator()(const HandOver&) {}
  void operator()(const Discard&) {}

  void finish() {
    checks_.require(!arrival_ || used_, "no gradient that arrives is thrown away: this one was not used");
  }

 private:
  void follow_fold(const FoldRow& fold) {
    const int tables = fold.table == Table::main ? 1 : 2;
    checks_.require(ledger_.memory_.tables >= tables, "folds go into tables that are kept");
    checks_.require(fold.worker == arrival_->worker, "a gradient goes into its worker's row: found row {}",
                    fold.worker);
    auto& rows = fold.table == Table::main ? ledger_.main_ : ledger_.next_;
    Row& row = rows[static_cast<std::size_t>(fold.worker)];
    row.oldest =
        fold.weight == 1 || !row.filled ? arrival_->version : std::min(row.oldest, arrival_->version);
    row.filled = true;
    if (fold.update_mean) {
      checks_.require(fold.table == Table::main && row.counts, "only rows that count move the mean");
      ++ledger_.folds_;
    } else if (fold.table == Table::main && row.counts) {
      ledger_.current_ = false;
    }
  }

  void use_gradient(const char* what) {
    checks_.require(arrival_ != nullptr, "{} needs a gradient, and none has arrived", what);
    checks_.require(!std::exchange(used_, true), "a gradient is used once");
    checks_.require(!stepped_, "a gradient is used before the step, not behind it");
  }

  void step_along_rows() {
    checks_.require(ledger_.current_, "a step is along the mean of the rows: it is not that since a fold");
    std::uint64_t oldest = version_;
    int counting = 0;
    int empty = 0;
    for (const Row& row : ledger_.main_) {
      if (!row.counts) continue;
      ++counting;
      empty += row.filled ? 0 : 1;
      oldest = std::min(oldest, row.oldest);
    }
    checks_.require(counting > 0, "a step is along the mean of some rows: none counts");
    checks_.require(empty == 0 || ledger_.memory_.corrected,
                    "rows that count in a step are filled: {} of {} are empty", empty, counting);
    checks_.require(version_ - oldest <= ledger_.most_age_,
                    "no gradient in a step is older than {} updates: one is {} old", ledger_.most_age_,
                    version_ - oldest);
  }

  /// Weights are rounded to float: half a unit in its last place each, relative.
  void step_along_sum() {
    constexpr double rounding = 1e-7;
    checks_.require(std::abs(ledger_.weights_ - 1) <= rounding,
                    "a step is along a mean: the weights of its gradients add up to {}", ledger_.weights_);
  }

  MeanLedger& ledger_;
  const Arrival* arrival_;
  std::uint64_t version_;
  Checks& checks_;
  bool used_ = false;
  bool stepped_ = false;
};

void MeanLedger::follow(std::span<const Action> actions, const Arrival* arrival, std::uint64_t version,
                        Checks& checks) {
  Following following(*this, arrival, version, checks);
  for (const Action& action : actions) std::visit(following, action);
  following.finish();
}

void MeanLedger::visit_rows(const char* name, std::vector<Row>& rows, StateArchive& state) const {
  std::vector<bool> counts;
  std::vector<bool> filled;
  std::vector<std::uint64_t> oldest;
  for (const Row& row : rows) {
    counts.push_back(row.counts);
    filled.push_back(row.filled);
    oldest.push_back(row.oldest);
  }
  state.object(name, [&](StateArchive& inner) {
    inner.flags("counts", counts, rows.size());
    inner.flags("filled", filled, rows.size());
    inner.numbers("oldest", oldest, rows.size(), std::uint64_t{0}, any_age);
  });
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = {counts[i], filled[i], oldest[i]};
}

void MeanLedger::visit_state(StateArchive& state) {
  visit_rows("main", main_, state);
  visit_rows("next", next_, state);
  state.flag("current", current_);
  state.number("folds", folds_, std::uint64_t{0}, any_age);
  state.real("weights", weights_);
}

}  // namespace tardigrad
