#include <algorithm>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// CA²FL (Wang, Cao, Wu, Chen, Chen 2024): FedBuff whose buffer holds what gradients differ from the newest
/// ones of their workers before, h_i, which are 0 at first. Every M-th arrival steps along mean_j h_j + 1/M Σ
/// (g − h_i), and a worker goes on at once with the newest model. The h_i of the workers that came are
/// replaced by the step: one that comes twice is measured against the same h_i both times.
///
/// So the row T_i may hold g at once, and ū be the mean of the rows, as in DuDe: steps go along the corrected
/// mean, which begins as ū before the buffer's first arrival. Only where a worker may come again before the
/// step, its h_i is kept: min(M − 1, n) rows at most.
///
/// Nobody waits for anybody. The row of a worker that is lost stays in the mean, or, with LostRows::drop, is
/// left out from the next buffer on, until the worker's next gradient, which is measured against it and
/// replaces it.
///
/// Source: Tackling the Data Heterogeneity in Asynchronous Federated Learning with Cached Update Calibration
/// (ICLR 2024).
class Ca2fl final : public Method {
 public:
  explicit Ca2fl(const MethodOptions& options)
      : workers_(options.workers),
        gather_(option_or(options.gather, default_gather, "--gather")),
        rows_(options.lost_rows) {}

  ServerMemory memory() const override {
    return {.tables = 1, .mean = true, .corrected = true, .kept_rows = std::min(gather_ - 1, workers_)};
  }

  void start(Actions& actions) override {
    rows_.reset(workers_);
    kept_of_.assign(static_cast<std::size_t>(workers_), -1);
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    rows_.take_back(arrival.worker, actions);
    correct(arrival.worker, actions);
    if (++gathered_ == gather_) step(actions);
    actions.emplace_back(HandOver{arrival.worker});
  }

  void lose(int worker, Actions& actions) override { rows_.lose(worker, actions); }

  void visit_state(StateArchive& state) override {
    state.object("rows", [this](StateArchive& inner) { rows_.visit_state(inner); });
    state.number("gathered", gathered_, 0, gather_ - 1);
    state.workers("kept", kept_, workers_);
    if (std::ssize(kept_) > gathered_) state.refuse("kept", "no more workers than have come");
    if (state.restoring()) number_kept();
  }

 private:
  static constexpr int default_gather = 10;  // the paper's M

  void correct(int worker, Actions& actions) {
    int& kept = kept_of_[static_cast<std::size_t>(worker)];
    Correct correction{worker, 1.0F / static_cast<float>(gather_), gathered_ == 0};
    if (kept >= 0) {
      correction.kept = kept;
    } else if (gathered_ + 1 < gather_) {
      correction.keep = kept = static_cast<int>(kept_.size());
      kept_.push_back(worker);
    }
    actions.emplace_back(correction);
  }

  void step(Actions& actions) {
    actions.emplace_back(Step{});
    gathered_ = 0;
    for (const int worker : kept_) kept_of_[static_cast<std::size_t>(worker)] = -1;
    kept_.clear();
  }

  void number_kept() {
    std::ranges::fill(kept_of_, -1);
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      kept_of_[static_cast<std::size_t>(kept_[i])] = static_cast<int>(i);
    }
  }

  int workers_;
  int gather_;  // M
  LastingRows rows_;
  int gathered_ = 0;
  std::vector<int> kept_;     // workers whose h_i are kept, in the order of the kept rows
  std::vector<int> kept_of_;  // the kept row of each worker, or −1
};

}  // namespace

std::unique_ptr<Method> make_ca2fl(const MethodOptions& options) { return std::make_unique<Ca2fl>(options); }

}  // namespace tardigrad
