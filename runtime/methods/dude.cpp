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
      : workers_(options.workers),
        waiting_(gather_of_workers(options, 1, "dude")),
        rows_(options.lost_rows) {}

  ServerMemory memory() const override { return {.tables = 1, .mean = true}; }

  void start(Actions& actions) override {
    waiting_.reset(workers_);
    rows_.reset(workers_);
    hand_over_to_all(workers_, actions);
  }

  std::optional<EachArrival> each_arrival() const override {
    if (!waiting_.nobody_waits()) return std::nullopt;
    return EachArrival{.folds = true};
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    rows_.fold(arrival.worker, actions);
    waiting_.arrive(arrival.worker);
    update_if_enough(actions);
  }

  void lose(int worker, Actions& actions) override {
    rows_.lose(worker, actions);
    waiting_.lose(worker);
    update_if_enough(actions);
  }

  void regain(int worker, Actions& actions) override {
    waiting_.regain(worker);
    actions.emplace_back(HandOver{worker});
  }

  void visit_state(StateArchive& state) override {
    state.object("rows", [this](StateArchive& inner) { rows_.visit_state(inner); });
    waiting_.visit_state(state, [this](int worker) { return rows_.filled(worker); });
  }

 private:
  void update_if_enough(Actions& actions) {
    if (!waiting_.enough()) return;
    actions.emplace_back(Step{});
    waiting_.begin(actions);
  }

  int workers_;
  WaitingWorkers waiting_;
  LastingRows rows_;
};

}  // namespace

std::unique_ptr<Method> make_dude(const MethodOptions& options) { return std::make_unique<Dude>(options); }

}  // namespace tardigrad
