#include <algorithm>
#include <list>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Ringmaster ASGD (Maranjyan, Tyurin, Richtárik 2025, Algorithm 5, "with calculation stops"): asynchronous
/// SGD in which a job whose staleness reaches R, by default n, is stopped and begun again with the newest
/// model. A worker that is lost has no job that could grow stale.
///
/// Source: Ringmaster ASGD: The First Asynchronous SGD with Optimal Time Complexity, arXiv:2501.16168.
class Ringmaster final : public Method {
 public:
  explicit Ringmaster(const MethodOptions& options)
      : workers_(options.workers),
        delay_threshold_(static_cast<std::uint64_t>(
            option_or(options.delay_threshold, options.workers, "--delay-threshold"))) {}

  ServerMemory memory() const override { return {}; }

  void start(Actions& actions) override {
    working_.reset(workers_);
    versions_.assign(static_cast<std::size_t>(workers_), 0);
    for (int worker = 0; worker < workers_; ++worker) {
      places_.push_back(oldest_first_.insert(oldest_first_.end(), worker));
    }
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    actions.emplace_back(Step{});
    ++version_;
    hand_over(arrival.worker, actions);
    for (int oldest = oldest_first_.front(); too_stale(oldest); oldest = oldest_first_.front()) {
      actions.emplace_back(Discard{oldest});
      hand_over(oldest, actions);
    }
  }

  void handed_over_late(int worker) override {
    if (working_.has(worker)) note_hand_over(worker);
  }

  void lose(int worker, Actions&) override {
    working_.lose(worker);
    oldest_first_.erase(place(worker));
  }

  void regain(int worker, Actions& actions) override {
    working_.regain(worker);
    place(worker) = oldest_first_.insert(oldest_first_.end(), worker);
    hand_over(worker, actions);
  }

  void visit_state(StateArchive& state) override {
    working_.visit_state(state);
    state.number("version", version_, std::uint64_t{0}, ~std::uint64_t{0} - 1);
    state.numbers("versions", versions_, versions_.size(), std::uint64_t{0}, version_);
    std::vector<int> order(oldest_first_.begin(), oldest_first_.end());
    state.workers("oldest_first", order, workers_);
    if (state.restoring()) restore_order(order, state);
  }

 private:
  using Places = std::list<int>;

  void restore_order(const std::vector<int>& order, const StateArchive& state) {
    const auto works = [this](int worker) { return working_.has(worker); };
    const auto version = [this](int worker) { return versions_[static_cast<std::size_t>(worker)]; };
    if (std::ssize(order) != working_.count() || !std::ranges::all_of(order, works) ||
        !std::ranges::is_sorted(order, {}, version)) {
      state.refuse("oldest_first", "those that work, by their versions");
    }
    oldest_first_.assign(order.begin(), order.end());
    for (auto at = oldest_first_.begin(); at != oldest_first_.end(); ++at) place(*at) = at;
  }

  bool too_stale(int worker) const {
    return version_ - versions_[static_cast<std::size_t>(worker)] >= delay_threshold_;
  }

  void hand_over(int worker, Actions& actions) {
    actions.emplace_back(HandOver{worker});
    note_hand_over(worker);
  }

  void note_hand_over(int worker) {
    versions_[static_cast<std::size_t>(worker)] = version_;
    oldest_first_.splice(oldest_first_.end(), oldest_first_, place(worker));
  }

  Places::iterator& place(int worker) { return places_[static_cast<std::size_t>(worker)]; }

  int workers_;
  std::uint64_t delay_threshold_;  // R
  Working working_;
  std::uint64_t version_ = 0;             // k
  std::vector<std::uint64_t> versions_;   // that each worker computes at
  Places oldest_first_;                   // those that work, by versions_; grows with n, not R
  std::vector<Places::iterator> places_;  // in oldest_first_, of those that work
};

}  // namespace

std::unique_ptr<Method> make_ringmaster(const MethodOptions& options) {
  return std::make_unique<Ringmaster>(options);
}

}  // namespace tardigrad
