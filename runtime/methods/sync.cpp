#include <algorithm>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// m-Synchronous SGD (Begunov, Tyurin 2026): a round at x^k waits for the first m gradients, one a worker at
/// most, and steps along their mean; what is in flight by then is thrown away. With m = n it is synchronous
/// minibatch SGD ("Naive Minibatch SGD" of Maranjyan, Richtárik 2025), in which nothing ever is.
///
/// Nobody waits for the lost: m is at most as many as work. A gradient that came counts, whatever became of
/// its worker, and the mean is over those that came. The weights are for as many as were waited for when the
/// first one came; where that changed, the mean is scaled before the step.
///
/// Source: Do We Need Asynchronous SGD? On the Near-Optimality of Synchronous Methods, arXiv:2602.03802;
/// Ringleader ASGD: The First Asynchronous SGD with Optimal Time Complexity under Data Heterogeneity,
/// arXiv:2509.22860.
class Msync final : public Method {
 public:
  Msync(int workers, int gather) : workers_(workers), gather_(gather) {}

  ServerMemory memory() const override {
    const bool discards = gather_ < workers_;
    return {.tables = 0, .mean = true, .jobs = discards ? JobSpread::one_each : JobSpread::rounds};
  }

  void start(Actions& actions) override {
    round_.reset(workers_);
    begin_round(actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    const bool first = round_.arrived() == 0;
    if (first) weighted_for_ = std::min(gather_, round_.size());
    actions.emplace_back(Accumulate{1.0F / static_cast<float>(weighted_for_), first});
    round_.arrive(arrival.worker);
    step_if_over(actions);
  }

  void lose(int worker, Actions& actions) override {
    round_.lose(worker, false);
    step_if_over(actions);
  }

  void regain(int worker, Actions& actions) override { round_.regain(worker, actions); }

  void visit_state(StateArchive& state) override {
    state.object("round", [this](StateArchive& inner) { round_.visit_state(inner); });
    state.number("weighted_for", weighted_for_, 1, workers_);
  }

 private:
  void begin_round(Actions& actions) {
    round_.begin();
    for (const int worker : round_.working()) round_.hand_over(worker, actions);
  }

  void step_if_over(Actions& actions) {
    if (!round_.over(gather_)) return;
    if (round_.arrived() != weighted_for_) {
      actions.emplace_back(ScaleMean{static_cast<double>(weighted_for_) / round_.arrived()});
    }
    actions.emplace_back(Step{});
    round_.discard(actions);
    begin_round(actions);
  }

  int workers_;
  int gather_;  // m
  Round round_;
  int weighted_for_ = 1;  // gradients, in this round's mean
};

}  // namespace

std::unique_ptr<Method> make_sync(const MethodOptions& options) {
  return std::make_unique<Msync>(options.workers, options.workers);
}

std::unique_ptr<Method> make_msync(const MethodOptions& options) {
  return std::make_unique<Msync>(options.workers, gather_of_workers(options, options.workers, "msync"));
}

}  // namespace tardigrad
