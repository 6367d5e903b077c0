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
    counts_[row] = counts_[row] && filled_[row];
  }

  void set_counts(int worker, bool counts) { counts_[static_cast<std::size_t>(worker)] = counts; }
  bool counts(int worker) const { return counts_[static_cast<std::size_t>(worker)]; }
  bool filled(int worker) const { return filled_[static_cast<std::size_t>(worker)]; }
  std::size_t workers() const { return counts_.size(); }

 private:
  bool drop_;
  std::vector<bool> counts_;
  std::vector<bool> filled_;
};

/// dude: one gradient each at x⁰, then c arrivals an update. Those that have arrived wait for it, together.
class DudePromise : public LastingRowsPromise {
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

/// aced: as dude, along the rows of gradients that are no more than R versions old; without any, no update.
class AcedPromise final : public DudePromise {
 public:
  explicit AcedPromise(const MethodOptions& options)
      : DudePromise(options),
        most_age_(options.delay_threshold ? static_cast<std::uint64_t>(*options.delay_threshold)
                                          : 10 * static_cast<std::uint64_t>(options.workers)),
        versions_(static_cast<std::size_t>(options.workers)) {}

  std::uint64_t most_row_age() const override { return most_age_; }

  Decision arrive(const Arrival& arrival, const JobLedger& jobs) override {
    Decision decision = DudePromise::arrive(arrival, jobs);
    versions_[static_cast<std::size_t>(arrival.worker)] = arrival.version;
    bool any = false;
    for (int worker = 0; worker < jobs.workers(); ++worker) {
      const bool old =
          filled(worker) && jobs.version() - versions_[static_cast<std::size_t>(worker)] > most_age_;
      set_counts(worker, counts(worker) && !old);
      any = any || counts(worker);
    }
    decision.fold->update_mean = decision.fold->update_mean && counts(arrival.worker);
    if (!any) decision.step.reset();
    return decision;
  }

  void visit_state(StateArchive& state) override {
    DudePromise::visit_state(state);
    state.numbers("versions", versions_, versions_.size(), std::uint64_t{0}, StateArchive::any);
  }

 private:
  std::uint64_t most_age_;  // R
  std::vector<std::uint64_t> versions_;
};

/// ca2fl: M arrivals a step, each measured against its worker's row as it was at the step before; everybody
/// goes on.
class Ca2flPromise final : public LastingRowsPromise {
 public:
  explicit Ca2flPromise(const MethodOptions& options)
      : LastingRowsPromise(options), gather_(options.gather.value_or(paper_gathers)) {}

  Decision start(const JobLedger& jobs) override {
    gathered_ = 0;
    came_.clear();
    return LastingRowsPromise::start(jobs);
  }

  Decision arrive(const Arrival& arrival, const JobLedger&) override {
    fold(arrival.worker);
    Decision decision{.correct = Correct{arrival.worker, 1.0F / static_cast<float>(gather_), gathered_ == 0},
                      .hand_overs = {arrival.worker}};
    const auto found = std::ranges::find(came_, arrival.worker);
    const auto place = static_cast<int>(found - came_.begin());
    const bool last = ++gathered_ == gather_;
    if (found != came_.end()) {
      decision.correct->kept = place;
    } else if (!last) {
      decision.correct->keep = place;
      came_.push_back(arrival.worker);
    }
    if (!last) return decision;
    decision.step = 1;
    gathered_ = 0;
    came_.clear();
    return decision;
  }

  Decision lose(int worker, const JobLedger&) override {
    lose_row(worker);
    return {};
  }

  void visit_state(StateArchive& state) override {
    LastingRowsPromise::visit_state(state);
    state.number("gathered", gathered_, 0, gather_ - 1);
    state.workers("came", came_, static_cast<int>(workers()));
  }

 private:
  static constexpr int paper_gathers = 10;

  int gather_;  // M
  int gathered_ = 0;
  std::vector<int> came_;  // since the step before, in the order in which their rows are kept
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
  if (name == "aced") return std::make_unique<AcedPromise>(options);
  if (name == "ca2fl") return std::make_unique<Ca2flPromise>(options);
  if (name == "dude") return std::make_unique<DudePromise>(options);
  if (name == "ia2sgd") return std::make_unique<Ia2sgdPromise>(options);
  if (name == "mifa") return std::make_unique<MifaPromise>(options);
  return nullptr;
}

}  // namespace tardigrad
