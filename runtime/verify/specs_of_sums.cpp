// Methods that step along a sum of gradients and keep no rows.

#include <algorithm>
#include <utility>

#include "runtime/verify/method_spec.h"

namespace tardigrad {
namespace {

/// msync: all that work compute once at x^k; when the first m are in, or nobody computes any more, a step,
/// and all begin again. sync: m = n.
class MsyncPromise final : public MethodSpec {
 public:
  MsyncPromise(int workers, int gathers) : gathers_(gathers), came_(static_cast<std::size_t>(workers)) {}

  std::uint64_t most_staleness() const override { return 0; }

  Decision start(const JobLedger& jobs) override {
    came_.assign(came_.size(), false);
    return MethodSpec::start(jobs);
  }

  Decision arrive(const Arrival& arrival, const JobLedger& jobs) override {
    const bool first = std::ranges::find(came_, true) == came_.end();
    if (first) weighted_for_ = std::min(gathers_, static_cast<int>(jobs.outstanding()) + 1);
    came_[static_cast<std::size_t>(arrival.worker)] = true;
    Decision decision{.accumulate = Accumulate{1.0F / static_cast<float>(weighted_for_), first}};
    end_round_if_over(decision, jobs);
    return decision;
  }

  Decision lose(int, const JobLedger& jobs) override {
    Decision decision;
    end_round_if_over(decision, jobs);
    return decision;
  }

  /// In the round at once, but not twice.
  Decision regain(int worker, const JobLedger&) override {
    if (came_[static_cast<std::size_t>(worker)]) return {};
    return {.hand_overs = {worker}};
  }

  void visit_state(StateArchive& state) override {
    state.flags("came", came_, came_.size());
    state.number("weighted_for", weighted_for_, 1, static_cast<int>(came_.size()));
  }

 private:
  void end_round_if_over(Decision& decision, const JobLedger& jobs) {
    const auto came = std::ranges::count(came_, true);
    if (came == 0 || (came < gathers_ && jobs.outstanding() > 0)) return;
    decision.step = 1;
    decision.hand_overs = decision.discards = jobs.working();
    std::erase_if(decision.discards, [&](int worker) { return !jobs.has_job(worker); });
    came_.assign(came_.size(), false);
  }

  int gathers_;             // m
  std::vector<bool> came_;  // in this round
  int weighted_for_ = 1;
};

/// So many gradients a step.
class Gathering : public MethodSpec {
 public:
  explicit Gathering(int size) : size_(size) {}

  Decision start(const JobLedger& jobs) override {
    gathered_ = 0;
    return MethodSpec::start(jobs);
  }

  void visit_state(StateArchive& state) override { state.number("gathered", gathered_, 0, size_ - 1); }

 protected:
  /// A sum, and a step where it is whole.
  Decision add() {
    Decision decision{.accumulate = Accumulate{1.0F / static_cast<float>(size_), gathered_ == 0}};
    gathered_ = (gathered_ + 1) % size_;
    if (gathered_ == 0) decision.step = 1;
    return decision;
  }

 private:
  int size_;
  int gathered_ = 0;
};

/// fedbuff: K a step, whatever their models; everybody goes on.
class FedbuffPromise final : public Gathering {
 public:
  using Gathering::Gathering;

  Decision arrive(const Arrival& arrival, const JobLedger&) override {
    Decision decision = add();
    decision.hand_overs = {arrival.worker};
    return decision;
  }
};

/// rennala: B gradients of the newest model a step; then everybody begins again.
class RennalaPromise final : public Gathering {
 public:
  using Gathering::Gathering;

  std::uint64_t most_staleness() const override { return 0; }

  Decision arrive(const Arrival& arrival, const JobLedger& jobs) override {
    Decision decision = add();
    decision.hand_overs = {arrival.worker};
    if (!decision.step) return decision;
    decision.hand_overs = jobs.working();
    decision.discards = jobs.working();
    std::erase(decision.discards, arrival.worker);
    return decision;
  }
};

}  // namespace

std::unique_ptr<MethodSpec> make_promise_of_sums(std::string_view name, const MethodOptions& options) {
  constexpr int fedbuff_gathers = 10;
  if (name == "sync") return std::make_unique<MsyncPromise>(options.workers, options.workers);
  if (name == "msync") {
    return std::make_unique<MsyncPromise>(options.workers, options.gather.value_or(options.workers));
  }
  if (name == "fedbuff") return std::make_unique<FedbuffPromise>(options.gather.value_or(fedbuff_gathers));
  if (name == "rennala") return std::make_unique<RennalaPromise>(options.gather.value_or(options.workers));
  return nullptr;
}

}  // namespace tardigrad
