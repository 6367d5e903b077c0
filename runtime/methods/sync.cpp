#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Synchronous minibatch SGD ("Naive Minibatch SGD" of Maranjyan, Richtárik 2025): a round waits for all n
/// workers.
///
/// Those that work, that is: a gradient that came counts, whatever became of its worker, and the mean is over
/// those that came. The weights are for as many as took part when the first one came; where that changed,
/// the mean is scaled before the step.
///
/// Source: Ringleader ASGD: The First Asynchronous SGD with Optimal Time Complexity under Data Heterogeneity,
/// arXiv:2509.22860.
class Sync final : public Method {
 public:
  explicit Sync(const MethodOptions& options) : workers_(options.workers) {}

  ServerMemory memory() const override { return {.tables = 0, .mean = true, .jobs = JobSpread::rounds}; }

  void start(Actions& actions) override {
    round_.reset(workers_);
    begin_round(actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    const bool first = round_.arrived() == 0;
    if (first) weighted_for_ = round_.size();
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
    if (!round_.over()) return;
    if (round_.arrived() != weighted_for_) {
      actions.emplace_back(ScaleMean{static_cast<double>(weighted_for_) / round_.arrived()});
    }
    actions.emplace_back(Step{});
    begin_round(actions);
  }

  int workers_;
  Round round_;
  int weighted_for_ = 1;  // gradients, in this round's mean
};

}  // namespace

std::unique_ptr<Method> make_sync(const MethodOptions& options) { return std::make_unique<Sync>(options); }

}  // namespace tardigrad
