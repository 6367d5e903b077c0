#include <algorithm>
#include <utility>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Ringleader ASGD (Maranjyan, Richtárik 2025, Algorithm 1): rounds of exactly n updates along the mean of
/// the rows, each row the mean of the b_i gradients of its worker.
///
/// Gathering: workers compute at one model until no main row is empty. Then the worker that filled the last
/// one makes the first update, and every other, pending until then, one when it arrives next; each goes on
/// with what it made. Workers that come again meanwhile fill the next table, which takes the place of the
/// main one when nobody is pending any more. Nothing is thrown away, and no delay exceeds 2n − 2.
///
/// Folds are lazy (they leave ū alone) while gathering and in the next table; AverageRows makes up for them
/// at the first update of a round. Without losses, the swapped-in table always lacks the row of the last
/// worker that was pending, so that a round never begins full.
///
/// A worker that is lost takes its rows of means to come with it, and is not pending any more; what a round's
/// mean has of it stays until the round ends. Where gathering is thus over, the next arrival makes the first
/// update. One that is back fills its row at the newest model, as the others that are not pending do: rounds
/// are of n updates at most, and delays within their bound, whoever is lost.
///
/// Source: Ringleader ASGD: The First Asynchronous SGD with Optimal Time Complexity under Data Heterogeneity,
/// arXiv:2509.22860.
class Ringleader final : public Method {
 public:
  explicit Ringleader(const MethodOptions& options) : workers_(options.workers) {}

  ServerMemory memory() const override { return {.tables = 2, .mean = true}; }

  void start(Actions& actions) override {
    working_.reset(workers_);
    main_.reset(workers_);
    next_.reset(workers_);
    pending_.assign(static_cast<std::size_t>(workers_), false);
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    if (pending_count_ == 0) {
      gather(arrival.worker, actions);
    } else if (pending_[static_cast<std::size_t>(arrival.worker)]) {
      actions.emplace_back(FoldRow{arrival.worker, main_.add(arrival.worker), Table::main, true});
      update(arrival.worker, actions);
    } else {
      actions.emplace_back(FoldRow{arrival.worker, next_.add(arrival.worker), Table::next, false});
      actions.emplace_back(HandOver{arrival.worker});
    }
  }

  void lose(int worker, Actions& actions) override {
    working_.lose(worker);
    next_.clear(worker);
    if (pending_count_ == 0) {
      main_.clear(worker);
    } else if (pending_[static_cast<std::size_t>(worker)]) {
      strike(worker, actions);
    }
  }

  void regain(int worker, Actions& actions) override {
    working_.regain(worker);
    actions.emplace_back(HandOver{worker});
  }

  void visit_state(StateArchive& state) override {
    working_.visit_state(state);
    state.object("main", [this](StateArchive& inner) { main_.visit_state(inner); });
    state.object("next", [this](StateArchive& inner) { next_.visit_state(inner); });
    state.flags("pending", pending_, pending_.size());
    pending_count_ = static_cast<int>(std::ranges::count(pending_, true));
    if (state.restoring()) check(state);
  }

 private:
  /// What gathering and folds into the mean rely on.
  void check(const StateArchive& state) const {
    for (int worker = 0; worker < workers_; ++worker) {
      const bool pending = pending_[static_cast<std::size_t>(worker)];
      if (pending && !(working_.has(worker) && main_.in_mean(worker) && main_.of(worker) > 0)) {
        state.refuse("pending", "workers that have a row in the mean");
      }
      if (working_.has(worker)) continue;
      if (next_.of(worker) > 0 || (pending_count_ == 0 && main_.of(worker) > 0)) {
        state.refuse("working", "those whose rows are gathered");
      }
    }
  }

  void gather(int worker, Actions& actions) {
    actions.emplace_back(FoldRow{worker, main_.add(worker), Table::main, false});
    if (main_.filled() < working_.count()) {
      actions.emplace_back(HandOver{worker});
      return;
    }
    main_.average(actions);
    for (const int pending : working_) pending_[static_cast<std::size_t>(pending)] = true;
    pending_count_ = working_.count();
    update(worker, actions);
  }

  void update(int worker, Actions& actions) {
    actions.emplace_back(Step{});
    actions.emplace_back(HandOver{worker});
    strike(worker, actions);
  }

  void strike(int worker, Actions& actions) {
    pending_[static_cast<std::size_t>(worker)] = false;
    if (--pending_count_ > 0) return;
    actions.emplace_back(SwapTables{});
    std::swap(main_, next_);
    next_.reset(workers_);
  }

  int workers_;
  Working working_;
  RowCounts main_;  // while gathering, empty rows of the lost; so are those of the next table always
  RowCounts next_;
  std::vector<bool> pending_;  // still to make their update of this round
  int pending_count_ = 0;      // 0: gathering
};

}  // namespace

std::unique_ptr<Method> make_ringleader(const MethodOptions& options) {
  return std::make_unique<Ringleader>(options);
}

}  // namespace tardigrad
