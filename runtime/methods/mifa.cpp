#include <fmt/format.h>

#include <stdexcept>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// MIFA (Gu, Huang, Zhang, Huang 2021, Algorithm 1): rounds in which every worker takes part with probability
/// p; the step is along the mean of all rows, those of the absent as they were.
///
/// All take part in the first round, as the paper assumes, so that no row is empty. A round that nobody would
/// take part in is skipped. A worker that is lost is not waited for; its row is that of an absent one, or,
/// with LostRows::drop, left out of the mean until it is back. Then it takes part at once.
///
/// Source: Fast Federated Learning in the Presence of Arbitrary Device Unavailability, arXiv:2106.04159.
class Mifa final : public Method {
 public:
  explicit Mifa(const MethodOptions& options)
      : workers_(options.workers),
        seed_(options.seed),
        availability_(options.availability.value_or(1)),
        rows_(options.lost_rows) {
    if (!(availability_ > 0 && availability_ <= 1)) {
      throw std::invalid_argument(
          fmt::format("--availability {}: expected a probability above 0 and at most 1", availability_));
    }
  }

  ServerMemory memory() const override { return {.tables = 1, .mean = true, .jobs = JobSpread::rounds}; }

  void start(Actions& actions) override {
    rows_.reset(workers_);
    members_.reset(workers_);
    for (const int worker : members_.working()) members_.hand_over(worker, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    rows_.fold(arrival.worker, actions);
    members_.arrive(arrival.worker);
    go_on(actions);
  }

  void lose(int worker, Actions& actions) override {
    rows_.lose(worker, actions);
    members_.lose(worker, !rows_.counts(worker));
    go_on(actions);
  }

  void regain(int worker, Actions& actions) override { members_.regain(worker, actions); }

  void visit_state(StateArchive& state) override {
    state.object("rows", [this](StateArchive& inner) { rows_.visit_state(inner); });
    state.object("members", [this](StateArchive& inner) { members_.visit_state(inner); });
    state.number("round", round_, std::uint64_t{0}, ~std::uint64_t{0});
  }

 private:
  /// Where all that were to take part are lost before any gradient came, there is nothing to step along.
  void go_on(Actions& actions) {
    if (members_.waits()) return;
    if (members_.over(workers_)) actions.emplace_back(Step{});
    members_.begin();
    while (!members_.waits() && members_.working().count() > 0) begin_round(actions);
  }

  void begin_round(Actions& actions) {
    ++round_;
    for (const int worker : members_.working()) {
      Random random(seed_, Purpose::availability, static_cast<std::uint64_t>(worker), round_);
      if (random.uniform() < availability_) members_.hand_over(worker, actions);
    }
  }

  int workers_;
  std::uint64_t seed_;
  double availability_;      // p
  std::uint64_t round_ = 0;  // skipped ones count
  LastingRows rows_;
  Round members_;
};

}  // namespace

std::unique_ptr<Method> make_mifa(const MethodOptions& options) { return std::make_unique<Mifa>(options); }

}  // namespace tardigrad
