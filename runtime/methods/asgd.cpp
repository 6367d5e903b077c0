#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Asynchronous SGD (Koloskova, Stich, Jaggi 2022, Algorithm 1 with immediate restart): every arrival is a
/// step.
///
/// Source: Sharper Convergence Guarantees for Asynchronous SGD for Distributed and Federated Learning,
/// arXiv:2206.08307.
class Asgd final : public Method {
 public:
  explicit Asgd(const MethodOptions& options) : workers_(options.workers) {}

  ServerMemory memory() const override { return {}; }

  void start(Actions& actions) override { hand_over_to_all(workers_, actions); }

  std::optional<EachArrival> each_arrival() const override { return EachArrival{}; }

  void arrive(const Arrival& arrival, Actions& actions) override {
    actions.emplace_back(Step{});
    actions.emplace_back(HandOver{arrival.worker});
  }

 private:
  int workers_;
};

}  // namespace

std::unique_ptr<Method> make_asgd(const MethodOptions& options) { return std::make_unique<Asgd>(options); }

}  // namespace tardigrad
