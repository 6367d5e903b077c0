#include <fmt/format.h>

#include <stdexcept>

#include "kernels/random.h"
#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// MIFA (Gu, Huang, Zhang, Huang 2021, Algorithm 1): rounds in which every worker takes part with probability
/// p; the step is along the mean of all rows, those of the absent as they were.
///
/// All take part in the first round, as the paper assumes, so that no row is empty. A round that nobody would
/// take part in is skipped.
class Mifa final : public Method {
 public:
  explicit Mifa(const MethodOptions& options)
      : workers_(options.workers), seed_(options.seed), availability_(options.availability.value_or(1)) {
    if (!(availability_ > 0 && availability_ <= 1)) {
      throw std::invalid_argument(
          fmt::format("--availability {}: expected a probability above 0 and at most 1", availability_));
    }
  }

  ServerMemory memory() const override { return {.tables = 1, .mean = true, .jobs = JobSpread::rounds}; }

  void start(Actions& actions) override {
    computing_ = workers_;
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    actions.emplace_back(FoldRow{arrival.worker, 1});
    if (--computing_ > 0) return;
    actions.emplace_back(Step{});
    while (computing_ == 0) begin_round(actions);
  }

 private:
  void begin_round(Actions& actions) {
    ++round_;
    for (int worker = 0; worker < workers_; ++worker) {
      Random random(seed_, Purpose::availability, static_cast<std::uint64_t>(worker), round_);
      if (random.uniform() >= availability_) continue;
      actions.emplace_back(HandOver{worker});
      ++computing_;
    }
  }

  int workers_;
  std::uint64_t seed_;
  double availability_;      // p
  std::uint64_t round_ = 0;  // skipped ones count
  int computing_ = 0;        // workers whose gradient of this round is still to come
};

}  // namespace

std::unique_ptr<Method> make_mifa(const MethodOptions& options) { return std::make_unique<Mifa>(options); }

}  // namespace tardigrad
