#include <algorithm>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// IA²SGD (the incremental aggregated method that Maranjyan, Richtárik 2025 compare Ringleader with): every
/// arrival replaces its worker's row and makes a step along the mean of all rows.
///
/// Warm-up: until every row is filled the workers go on at x⁰, a newer gradient replacing the older one; the
/// arrival that fills the last row makes no update yet. Rows of the lost are not waited for. Later they stay
/// in the mean, or, with LostRows::drop, are left out until their workers are back and fill them.
///
/// Source: Ringleader ASGD: The First Asynchronous SGD with Optimal Time Complexity under Data Heterogeneity,
/// arXiv:2509.22860.
class Ia2sgd final : public Method {
 public:
  explicit Ia2sgd(const MethodOptions& options) : workers_(options.workers), rows_(options.lost_rows) {}

  ServerMemory memory() const override { return {.tables = 1, .mean = true}; }

  void start(Actions& actions) override {
    working_.reset(workers_);
    rows_.reset(workers_);
    missing_ = workers_;
    hand_over_to_all(workers_, actions);
  }

  std::optional<EachArrival> each_arrival() const override {
    if (!warm_) return std::nullopt;
    return EachArrival{.folds = true};
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    const bool was_empty = rows_.fold(arrival.worker, actions);
    if (warm_) actions.emplace_back(Step{});
    if (was_empty) --missing_;
    warm_ = warm_ || missing_ == 0;
    actions.emplace_back(HandOver{arrival.worker});
  }

  void lose(int worker, Actions& actions) override {
    rows_.lose(worker, actions);
    working_.lose(worker);
    count_missing();
    // With nobody left it is for those who come back to fill their rows.
    warm_ = warm_ || (missing_ == 0 && working_.count() > 0);
  }

  void regain(int worker, Actions& actions) override {
    working_.regain(worker);
    count_missing();
    actions.emplace_back(HandOver{worker});
  }

  void visit_state(StateArchive& state) override {
    working_.visit_state(state);
    state.object("rows", [this](StateArchive& inner) { rows_.visit_state(inner); });
    state.flag("warm", warm_);
    count_missing();
  }

 private:
  void count_missing() {
    const auto is_empty = [this](int worker) { return !rows_.filled(worker); };
    missing_ = static_cast<int>(std::ranges::count_if(working_, is_empty));
  }

  int workers_;
  Working working_;
  LastingRows rows_;
  bool warm_ = false;
  int missing_ = 0;  // working workers whose rows are empty
};

}  // namespace

std::unique_ptr<Method> make_ia2sgd(const MethodOptions& options) {
  return std::make_unique<Ia2sgd>(options);
}

}  // namespace tardigrad
