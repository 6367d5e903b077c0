// Methods whose rows are means of gradients, b_i of worker i.

#include <algorithm>
#include <limits>

#include "runtime/verify/method_spec.h"

namespace tardigrad {
namespace {

/// b_i of one table.
class Counts {
 public:
  explicit Counts(int workers) : counts_(static_cast<std::size_t>(workers)) {}

  void clear() { std::ranges::fill(counts_, 0); }
  void clear(int worker) { of(worker) = 0; }
  bool filled(int worker) const { return counts_[static_cast<std::size_t>(worker)] > 0; }
  bool filled(const std::vector<int>& workers) const {
    return std::ranges::all_of(workers, [this](int worker) { return filled(worker); });
  }

  /// One more gradient, which goes in with the weight 1/b_i.
  FoldRow add(int worker, Table table, bool update_mean) {
    return {worker, 1.0F / static_cast<float>(++of(worker)), table, update_mean};
  }

  /// Σ 1/b_i, of rows that are filled.
  long double reciprocals(const std::vector<int>& workers) const {
    long double sum = 0;
    for (const int worker : workers) {
      sum += 1 / static_cast<long double>(counts_[static_cast<std::size_t>(worker)]);
    }
    return sum;
  }

  void visit_state(const char* name, StateArchive& state) {
    constexpr std::uint64_t highest = std::numeric_limits<std::uint64_t>::max();
    state.numbers(name, counts_, counts_.size(), std::uint64_t{0}, highest);
  }

 private:
  std::uint64_t& of(int worker) { return counts_[static_cast<std::size_t>(worker)]; }

  std::vector<std::uint64_t> counts_;
};

/// malenia: everybody again and again at x^k until no b_i of those that work is 0 and their harmonic mean is
/// at least S/n.
class MaleniaPromise final : public MethodSpec {
 public:
  explicit MaleniaPromise(const MethodOptions& options)
      : gather_(options.gather.value_or(0)), rows_(options.workers) {}

  std::uint64_t most_staleness() const override { return 0; }
  std::uint64_t most_row_age() const override { return 0; }

  Decision start(const JobLedger& jobs) override {
    rows_.clear();
    return MethodSpec::start(jobs);
  }

  Decision arrive(const Arrival& arrival, const JobLedger& jobs) override {
    Decision decision{.fold = rows_.add(arrival.worker, Table::main, false)};
    decision.hand_overs = {arrival.worker};
    update_if_enough(decision, jobs);
    return decision;
  }

  Decision lose(int worker, const JobLedger& jobs) override {
    rows_.clear(worker);
    Decision decision;
    update_if_enough(decision, jobs);
    return decision;
  }

  void check(const Decision& found, const JobLedger& jobs, const MeanLedger& means, Checks& checks) override {
    if (!found.step) return;
    for (int worker = 0; worker < jobs.workers(); ++worker) {
      checks.require(means.counts(worker) == jobs.works(worker),
                     "malenia steps along the rows of those that work: row {} {}", worker,
                     jobs.works(worker) ? "is left out" : "is of one that is lost");
    }
  }

  void visit_state(StateArchive& state) override { rows_.visit_state("rows", state); }

 private:
  void update_if_enough(Decision& decision, const JobLedger& jobs) {
    const std::vector<int> working = jobs.working();
    if (!enough(working)) return;
    decision.step = 1;
    decision.hand_overs = working;
    for (const int worker : working) {
      if (jobs.has_job(worker)) decision.discards.push_back(worker);
    }
    rows_.clear();
  }

  /// n / Σ 1/b_i ≥ S/n, where equal counts however the sum is rounded.
  bool enough(const std::vector<int>& working) const {
    constexpr long double margin = 1e-14L;
    if (working.empty() || !rows_.filled(working)) return false;
    const auto n = static_cast<long double>(working.size());
    return n * n >= gather_ * rows_.reciprocals(working) * (1 - margin);
  }

  long double gather_;  // S
  Counts rows_;
};

/// ringleader: rounds of n updates, one of each worker; rows of the next round are filled meanwhile.
class RingleaderPromise final : public MethodSpec {
 public:
  explicit RingleaderPromise(const MethodOptions& options)
      : workers_(options.workers), main_(options.workers), next_(options.workers) {}

  std::uint64_t most_staleness() const override { return 2 * static_cast<std::uint64_t>(workers_) - 2; }
  std::uint64_t most_row_age() const override { return most_staleness(); }

  Decision start(const JobLedger& jobs) override {
    main_.clear();
    next_.clear();
    pending_.assign(static_cast<std::size_t>(workers_), false);
    updates_ = 0;
    undisturbed_ = true;
    return MethodSpec::start(jobs);
  }

  Decision arrive(const Arrival& arrival, const JobLedger& jobs) override {
    const int worker = arrival.worker;
    Decision decision{.hand_overs = {worker}};
    if (gathering()) {
      decision.fold = main_.add(worker, Table::main, false);
      if (!main_.filled(jobs.working())) return decision;
      for (const int other : jobs.working()) set_pending(other, true);
    } else if (!pending(worker)) {
      decision.fold = next_.add(worker, Table::next, false);
      return decision;
    } else {
      decision.fold = main_.add(worker, Table::main, true);
    }
    decision.step = 1;
    set_pending(worker, false);
    decision.swap = gathering();
    return decision;
  }

  Decision lose(int worker, const JobLedger&) override {
    Decision decision;
    undisturbed_ = false;
    if (gathering()) main_.clear(worker);
    next_.clear(worker);
    if (pending(worker)) {
      set_pending(worker, false);
      decision.swap = gathering();
    }
    return decision;
  }

  Decision regain(int worker, const JobLedger& jobs) override {
    undisturbed_ = false;
    return MethodSpec::regain(worker, jobs);
  }

  void check(const Decision& found, const JobLedger& jobs, const MeanLedger&, Checks& checks) override {
    const auto n = static_cast<std::uint64_t>(workers_);
    if (found.step) {
      ++updates_;
      checks.require(updates_ <= n, "ringleader makes n updates a round: this is number {} of {}", updates_,
                     n);
    }
    if (!found.swap) return;
    checks.require(!undisturbed_ || updates_ == n,
                   "ringleader makes n updates a round: it made {} of {} before the next", updates_, n);
    main_ = next_;
    next_.clear();
    updates_ = 0;
    undisturbed_ = jobs.working().size() == n;
  }

  void visit_state(StateArchive& state) override {
    main_.visit_state("main", state);
    next_.visit_state("next", state);
    state.flags("pending", pending_, static_cast<std::size_t>(workers_));
    state.number("updates", updates_, std::uint64_t{0}, static_cast<std::uint64_t>(workers_));
    state.flag("undisturbed", undisturbed_);
  }

 private:
  bool gathering() const { return std::ranges::find(pending_, true) == pending_.end(); }
  bool pending(int worker) const { return pending_[static_cast<std::size_t>(worker)]; }
  void set_pending(int worker, bool pending) { pending_[static_cast<std::size_t>(worker)] = pending; }

  int workers_;
  Counts main_;
  Counts next_;
  std::vector<bool> pending_;  // still to make their update of this round; none: gathering
  std::uint64_t updates_ = 0;  // of this round
  bool undisturbed_ = true;    // nobody has been lost since it began, or is
};

}  // namespace

std::unique_ptr<MethodSpec> make_promise_of_rows_of_means(std::string_view name,
                                                          const MethodOptions& options) {
  if (name == "malenia") return std::make_unique<MaleniaPromise>(options);
  if (name == "ringleader") return std::make_unique<RingleaderPromise>(options);
  return nullptr;
}

}  // namespace tardigrad
