// Methods whose rows hold the newest gradient of each worker for as long as it takes.

#include <algorithm>

#include "runtime/verify/method_spec.h"

namespace tardigrad {
namespace {

/// A row counts from the start on; not any more once it is empty, or to be dropped, as its worker is lost;
/// and again when that has filled it.
class LastingRowsPromise : public MethodSpec {
 public:
  explicit LastingRowsPromise(const MethodOptions& options)
      : drop_(options.lost_rows == LostRows::drop), counts_(static_cast<std::size_t>(options.workers)) {}

  Decision start(const JobLedger& jobs) override {
    counts_.assign(counts_.size(), true);
    filled_.assign(counts_.size(), false);
    return MethodSpec::start(jobs);
  }

  void check(const Decision&, const JobLedger&, const MeanLedger& means, Checks& checks) override {
    checks.require(means.current(), "the mean follows the rows at once: it is behind them");
    for (std::size_t row = 0; row < counts_.size(); ++row) {
      const bool counts = means.counts(static_cast<int>(row));
      checks.require(counts == counts_[row], "row {} should {}count, and does{}", row,
                     counts_[row] ? "" : "not ", counts ? "" : " not");
    }
  }

  void visit_state(StateArchive& state) override {
    state.flags("counts", counts_, counts_.size());
    state.flags("filled", filled_, counts_.size());
  }

 protected:
  Decision fold(int worker) {
    const auto row = static_cast<std::size_t>(worker);
    const bool counted = counts_[row];
    counts_[row] = true;
    filled_[row] = true;
    return {.fold = FoldRow{worker, 1, Table::main, counted}};
  }

  void lose_row(int worker) {
    const auto row = static_cast<std::size_t>(worker);
    filled_[row] = filled_[row] && !drop_;
    counts_[row] = filled_[row];
  }

  bool counts(int worker) const { return counts_[static_cast<std::size_t>(worker)]; }
  bool filled(int worker) const { return filled_[static_cast<std::size_t>(worker)]; }

 private:
  bool drop_;
  std::vector<bool> counts_;
  std::vector<bool> filled_;
};

/// dude: one gradient each at x⁰, then c arrivals an update. Those that have arrived wait for it, together.
class DudePromise final : public LastingRowsPromise {
 public:
  explicit DudePromise(const MethodOptions& options)
      : LastingRowsPromise(options), gather_(static_cast<std::size_t>(options.gather.value_or(1))) {}

  Decision start(const JobLedger& jobs) override {
    warm_ = false;
    return LastingRowsPromise::start(jobs);
  }

  Decision arrive(const Arrival& arrival, const JobLedger& jobs) override {
    Decision decision = fold(arrival.worker);
    update_if_gathered(decision, jobs);
    return decision;
  }

  Decision lose(int worker, const JobLedger& jobs) override {
    lose_row(worker);
    Decision decision;
    update_if_gathered(decision, jobs);
    return decision;
  }

  void visit_state(StateArchive& state) override {
    LastingRowsPromise::visit_state(state);
    state.flag("warm", warm_);
  }

 private:
  void update_if_gathered(Decision& decision, const JobLedger& jobs) {
    const std::vector<int> waiting = jobs.working_without_job();
    const std::size_t working = jobs.working().size();
    if (waiting.empty() || waiting.size() < std::min(warm_ ? gather_ : working, working)) return;
    warm_ = true;
    decision.step = 1;
    decision.hand_overs = waiting;
  }

  std::size_t gather_;  // c
  bool warm_ = false;
};

/// ia2sgd: everybody goes on at x⁰ until all rows are filled; from the next arrival on, every one makes an
/// update.
class Ia2sgdPromise final : public LastingRowsPromise {
 public:
  using LastingRowsPromise::LastingRowsPromise;

  Decision start(const JobLedger& jobs) override {
    warm_ = false;
    return LastingRowsPromise::start(jobs);
  }

  Decision arrive(const Arrival& arrival, const JobLedger& jobs) override {
    Decision decision = fold(arrival.worker);
    if (warm_) decision.step = 1;
    decision.hand_overs = {arrival.worker};
    warm_up(jobs);
    return decision;
  }

  Decision lose(int worker, const JobLedger& jobs) override {
    lose_row(worker);
    warm_up(jobs);
    return {};
  }

  void visit_state(StateArchive& state) override {
    LastingRowsPromise::visit_state(state);
    state.flag("warm", warm_);
  }

 private:
  void warm_up(const JobLedger& jobs) {
    const std::vector<int> working = jobs.working();
    const bool all = std::ranges::all_of(working, [this](int worker) { return filled(worker); });
    warm_ = warm_ || (all && !working.empty());
  }

  bool warm_ = false;
};

/// mifa: rounds of some of those that work, one gradient each at x^k; the first round is of all.
class MifaPromise final : public LastingRowsPromise {
 public:
  explicit MifaPromise(const MethodOptions& options)
      : LastingRowsPromise(options),
        always_(options.availability.value_or(1) >= 1),
        came_(static_cast<std::size_t>(options.workers)) {}

  std::uint64_t most_staleness() const override { return 0; }

  Decision start(const JobLedger& jobs) override {
    came_.assign(came_.size(), false);
    return LastingRowsPromise::start(jobs);
  }

  Decision arrive(const Arrival& arrival, const JobLedger& jobs) override {
    came_[static_cast<std::size_t>(arrival.worker)] = true;
    Decision decision = fold(arrival.worker);
    go_on_if_over(decision, jobs);
    return decision;
  }

  Decision lose(int worker, const JobLedger& jobs) override {
    lose_row(worker);
    if (!counts(worker)) came_[static_cast<std::size_t>(worker)] = false;
    Decision decision;
    go_on_if_over(decision, jobs);
    return decision;
  }

  Decision regain(int worker, const JobLedger&) override {
    if (came_[static_cast<std::size_t>(worker)]) return {};
    return {.hand_overs = {worker}};
  }

  void visit_state(StateArchive& state) override {
    LastingRowsPromise::visit_state(state);
    state.flags("came", came_, came_.size());
  }

 private:
  void go_on_if_over(Decision& decision, const JobLedger& jobs) {
    if (jobs.outstanding() > 0) return;
    if (std::ranges::find(came_, true) != came_.end()) decision.step = 1;
    came_.assign(came_.size(), false);
    decision.hand_overs = jobs.working();
    decision.to_anybody = !always_;  // that it is somebody, who works, is for the JobLedger
  }

  bool always_;
  std::vector<bool> came_;  // in this round, to stay
};

}  // namespace

std::unique_ptr<MethodSpec> make_promise_of_lasting_rows(std::string_view name,
                                                         const MethodOptions& options) {
  if (name == "dude") return std::make_unique<DudePromise>(options);
  if (name == "ia2sgd") return std::make_unique<Ia2sgdPromise>(options);
  if (name == "mifa") return std::make_unique<MifaPromise>(options);
  return nullptr;
}

}  // namespace tardigrad
