#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// A sum that terms are added to and taken from again, without the drift that rounding would bring (Neumaier
/// 1974): however many there were, it is the sum of those left to the last place or so.
///
/// Source: Optimal Time Complexities of Parallel Stochastic Optimization Methods Under a Fixed Computation
/// Model, arXiv:2305.12387.
class RunningSum {
 public:
  void add(double term) {
    const double sum = sum_ + term;
    rounded_off_ += std::abs(sum_) >= std::abs(term) ? (sum_ - sum) + term : (term - sum) + sum_;
    sum_ = sum;
  }

  double value() const { return sum_ + rounded_off_; }

  void visit_state(StateArchive& state) {
    state.real("sum", sum_);
    state.real("rounded_off", rounded_off_);
  }

 private:
  double sum_ = 0;
  double rounded_off_ = 0;
};

/// Malenia SGD (Tyurin, Richtárik 2023): all workers compute again and again at x^k; row i is the mean of the
/// b_i gradients of worker i. When no b_i is 0 and their harmonic mean is at least S/n (S = `--gather`,
/// default 0), a step along the mean of the rows; what is in flight by then is thrown away.
///
/// n is the number of workers that work. One that is lost takes its row of the round with it: kept at its
/// b_i, it could hold the harmonic mean below S/n for ever. One that is back takes part in the round at once,
/// as the newest model is the round's.
class Malenia final : public Method {
 public:
  explicit Malenia(const MethodOptions& options)
      : workers_(options.workers), gather_(option_or(options.gather, 0, "--gather", 0)) {}

  ServerMemory memory() const override { return {.tables = 1, .mean = true}; }

  void start(Actions& actions) override {
    working_.reset(workers_);
    rows_.reset(workers_);
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    fold(arrival.worker, actions);
    if (enough()) {
      update(arrival.worker, actions);
    } else {
      actions.emplace_back(HandOver{arrival.worker});
    }
  }

  void lose(int worker, Actions& actions) override {
    working_.lose(worker);
    take_out(worker);
    rows_.clear(worker);
    if (enough()) update({}, actions);
  }

  void regain(int worker, Actions& actions) override {
    working_.regain(worker);
    actions.emplace_back(HandOver{worker});
  }

  void visit_state(StateArchive& state) override {
    working_.visit_state(state);
    state.object("rows", [this](StateArchive& inner) { rows_.visit_state(inner); });
    state.object("reciprocals", [this](StateArchive& inner) { reciprocals_.visit_state(inner); });
    if (state.restoring()) check(state);
  }

 private:
  /// A sum that is not that of the rows could make a round that never ends.
  void check(const StateArchive& state) const {
    double sum = 0;
    for (int worker = 0; worker < workers_; ++worker) {
      if (rows_.of(worker) == 0) continue;
      if (!working_.has(worker)) state.refuse("rows", "empty ones where a worker is lost");
      sum += 1 / static_cast<double>(rows_.of(worker));
    }
    if (!(std::abs(reciprocals_.value() - sum) <= 1e-9)) state.refuse("reciprocals", "the sum over the rows");
    if (enough()) state.refuse("rows", "fewer gradients than make an update");
  }

  void update(std::optional<int> arrived, Actions& actions) {
    rows_.average(actions);
    actions.emplace_back(Step{});
    restart_all(working_, arrived, actions);
    rows_.reset(workers_);
    reciprocals_ = {};
  }

  void take_out(int worker) {
    if (rows_.of(worker) > 0) reciprocals_.add(-1 / static_cast<double>(rows_.of(worker)));
  }

  void fold(int worker, Actions& actions) {
    take_out(worker);
    actions.emplace_back(FoldRow{worker, rows_.add(worker), Table::main, false});
    reciprocals_.add(1 / static_cast<double>(rows_.of(worker)));
  }

  /// n / Σ 1/b_i ≥ S/n. The sum is that of the rounded reciprocals, so that where both sides are equal, it
  /// may be off by a few units in the last place either way; the margin makes equal count as reached.
  bool enough() const {
    constexpr double margin = 8 * std::numeric_limits<double>::epsilon();
    const int n = working_.count();
    return n > 0 && rows_.filled() == n && n * 1.0 * n >= gather_ * reciprocals_.value() * (1 - margin);
  }

  int workers_;
  double gather_;  // S
  Working working_;
  RowCounts rows_;          // empty ones of the lost
  RunningSum reciprocals_;  // 1/b_i of the rows that are not empty
};

}  // namespace

std::unique_ptr<Method> make_malenia(const MethodOptions& options) {
  return std::make_unique<Malenia>(options);
}

}  // namespace tardigrad
