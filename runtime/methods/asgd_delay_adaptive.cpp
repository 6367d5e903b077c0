#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Asynchronous SGD with delay-adaptive step sizes (Koloskova, Stich, Jaggi 2022, (ii); up to constants also
/// Mishchenko, Bach, Even, Woodworth 2022; not the rule of Wu, Magnússon, Feyzmahdavian, Johansson 2022): a
/// gradient staler than τ_C, by default the number of workers, makes a shorter step: γ·τ_C/τ, or
/// min(γ, 1/(4Lτ)) where the smoothness L is given.
///
/// Source: Sharper Convergence Guarantees for Asynchronous SGD for Distributed and Federated Learning,
/// arXiv:2206.08307; Asynchronous SGD Beats Minibatch SGD Under Arbitrary Delays, arXiv:2206.07638.
class AsgdDelayAdaptive final : public Method {
 public:
  explicit AsgdDelayAdaptive(const MethodOptions& options)
      : workers_(options.workers),
        delay_threshold_(option_or(options.delay_threshold, options.workers, "--delay-threshold")),
        lr_(options.lr),
        smoothness_(options.smoothness) {
    if (smoothness_ && !(*smoothness_ > 0 && std::isfinite(*smoothness_))) {
      throw std::invalid_argument(fmt::format("--smoothness {}: expected a positive number", *smoothness_));
    }
  }

  ServerMemory memory() const override { return {}; }

  void start(Actions& actions) override { hand_over_to_all(workers_, actions); }

  void arrive(const Arrival& arrival, Actions& actions) override {
    actions.emplace_back(Step{scale(static_cast<double>(arrival.staleness))});
    actions.emplace_back(HandOver{arrival.worker});
  }

 private:
  double scale(double staleness) const {
    if (staleness <= delay_threshold_) return 1;
    if (smoothness_) return std::min(1.0, 1 / (4 * *smoothness_ * staleness * lr_));
    return delay_threshold_ / staleness;
  }

  int workers_;
  double delay_threshold_;
  double lr_;
  std::optional<double> smoothness_;
};

}  // namespace

std::unique_ptr<Method> make_asgd_delay_adaptive(const MethodOptions& options) {
  return std::make_unique<AsgdDelayAdaptive>(options);
}

}  // namespace tardigrad
