#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// DuDe-ASGD (Wang, Sun, Wai, Zhang 2024, Algorithm 1; semi-asynchronous for gather c > 1, its Section on
/// that form).
///
/// Warm-up: every worker computes once at x⁰ and waits; when all rows are filled, update 1 follows and all
/// restart. Then every c-th arrival makes an update along the mean of all rows and restarts the c workers
/// gathered.
///
/// Nobody waits for the lost: fewer than c workers are gathered where fewer work. The row of one that is lost
/// stays in the mean, as that of one which is very slow would, or, with LostRows::drop, is left out.
///
/// Source: Dual-Delayed Asynchronous SGD for Arbitrarily Heterogeneous Data, arXiv:2405.16966.
class Dude final : public Method {
 public:
  explicit Dude(const MethodOptions& options)
      : workers_(options.workers), gather_(options.gather.value_or(1)), rows_(options.lost_rows) {
    if (gather_ < 1 || gather_ > options.workers) {
      throw std::invalid_argument(
          fmt::format("--gather {}: expected 1 to the number of workers ({}) with --method dude", gather_,
                      options.workers));
    }
  }

  ServerMemory memory() const override { return {.tables = 1, .mean = true}; }

  void start(Actions& actions) override {
    working_.reset(workers_);
    rows_.reset(workers_);
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    rows_.fold(arrival.worker, actions);
    waiting_.push_back(arrival.worker);
    if (enough()) update(actions);
  }

  void lose(int worker, Actions& actions) override {
    rows_.lose(worker, actions);
    working_.lose(worker);
    std::erase(waiting_, worker);
    if (enough()) update(actions);
  }

  void regain(int worker, Actions& actions) override {
    working_.regain(worker);
    actions.emplace_back(HandOver{worker});
  }

  void visit_state(StateArchive& state) override {
    working_.visit_state(state);
    state.object("rows", [this](StateArchive& inner) { rows_.visit_state(inner); });
    state.flag("warm", warm_);
    state.workers("waiting", waiting_, workers_);
    if (!state.restoring()) return;
    const auto waits = [this](int worker) { return working_.has(worker) && rows_.filled(worker); };
    if (!std::ranges::all_of(waiting_, waits)) state.refuse("waiting", "workers that have come");
    if (enough()) state.refuse("waiting", "fewer than make an update");
  }

 private:
  bool enough() const {
    const int wanted = std::min(warm_ ? gather_ : workers_, working_.count());
    return !waiting_.empty() && std::ssize(waiting_) >= wanted;
  }

  void update(Actions& actions) {
    actions.emplace_back(Step{});
    for (const int worker : waiting_) actions.emplace_back(HandOver{worker});
    waiting_.clear();
    warm_ = true;
  }

  int workers_;
  int gather_;
  Working working_;
  LastingRows rows_;
  bool warm_ = false;         // update 1 is made
  std::vector<int> waiting_;  // folded in since the last update, and not lost
};

}  // namespace

std::unique_ptr<Method> make_dude(const MethodOptions& options) { return std::make_unique<Dude>(options); }

}  // namespace tardigrad
