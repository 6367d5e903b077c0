#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Rescaled asynchronous SGD (Mahran et al. 2026): a worker that takes τ_i a job makes steps of γ·τ_i/τ_h,
/// with τ_h the harmonic mean of all, so that fast workers do not pull the model towards their own data.
///
/// τ_i is given, or else the mean of the compute times observed so far; τ_h is then that of the workers
/// observed so far. A worker that is lost is left out of τ_h: the others share the model's way among them.
/// Its τ_i is kept for when it is back.
///
/// Source: Rescaled Asynchronous SGD: Optimal Distributed Optimization under Data and System Heterogeneity,
/// arXiv:2605.13434.
class AsgdRescaled final : public Method {
 public:
  explicit AsgdRescaled(const MethodOptions& options)
      : workers_(options.workers), observing_(options.compute_times.empty()), times_(options.compute_times) {
    if (!observing_ && std::ssize(times_) != workers_) {
      throw std::logic_error("asgd-rescaled: expected one compute time a worker");
    }
  }

  ServerMemory memory() const override { return {}; }

  void start(Actions& actions) override {
    working_.reset(workers_);
    if (observing_) {
      times_.assign(static_cast<std::size_t>(workers_), 0);
      observations_.assign(static_cast<std::size_t>(workers_), 0);
    }
    sum_rates();
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    const auto worker = static_cast<std::size_t>(arrival.worker);
    // What took no time says nothing about rates.
    if (observing_ && arrival.compute_time > 0) observe(worker, arrival.compute_time);
    const bool known = times_[worker] > 0;
    actions.emplace_back(Step{known ? times_[worker] * rate_sum_ / known_ : 1});
    actions.emplace_back(HandOver{arrival.worker});
  }

  void lose(int worker, Actions&) override {
    working_.lose(worker);
    sum_rates();
  }

  void regain(int worker, Actions& actions) override {
    working_.regain(worker);
    sum_rates();
    actions.emplace_back(HandOver{worker});
  }

  void visit_state(StateArchive& state) override {
    working_.visit_state(state);
    if (observing_) {
      state.reals("times", times_, times_.size());
      state.numbers("observations", observations_, observations_.size(), std::uint64_t{0},
                    std::uint64_t{1} << 62);
    }
    double rate_sum = rate_sum_;
    int changes = changes_;
    state.real("rate_sum", rate_sum);
    state.number("changes", changes, 0, workers_ - 1);
    if (state.restoring()) restore(rate_sum, changes, state);
  }

 private:
  void restore(double rate_sum, int changes, const StateArchive& state) {
    const auto is_number = [](double value) { return value >= 0 && std::isfinite(value); };
    if (!std::ranges::all_of(times_, is_number)) state.refuse("times", "numbers of at least 0");
    if (!is_number(rate_sum)) state.refuse("rate_sum", "a number of at least 0");
    for (std::size_t worker = 0; worker < observations_.size(); ++worker) {
      if ((times_[worker] > 0) != (observations_[worker] > 0)) {
        state.refuse("observations", "those of the times");
      }
    }
    sum_rates();
    rate_sum_ = rate_sum;
    changes_ = changes;
  }

  void observe(std::size_t worker, double time) {
    const double before = times_[worker];
    const std::uint64_t count = ++observations_[worker];
    if (count == 1) ++known_;
    times_[worker] += (time - before) / static_cast<double>(count);
    rate_sum_ += 1 / times_[worker] - (count == 1 ? 0 : 1 / before);
    // Rounding errors of the running sum would add up for ever.
    if (++changes_ == workers_) sum_rates();
  }

  void sum_rates() {
    changes_ = 0;
    rate_sum_ = 0;
    known_ = 0;
    for (const int worker : working_) {
      const double time = times_[static_cast<std::size_t>(worker)];
      if (time <= 0) continue;
      rate_sum_ += 1 / time;
      ++known_;
    }
  }

  int workers_;
  Working working_;
  bool observing_;
  std::vector<double> times_;                // τ_i; 0: not known
  std::vector<std::uint64_t> observations_;  // times_[i] is the mean of so many
  int known_ = 0;                            // workers with a τ_i, that work
  double rate_sum_ = 0;                      // Σ 1/τ_i over them
  int changes_ = 0;                          // of rate_sum_ since it was summed afresh
};

}  // namespace

std::unique_ptr<Method> make_asgd_rescaled(const MethodOptions& options) {
  return std::make_unique<AsgdRescaled>(options);
}

}  // namespace tardigrad
