#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Rennala SGD (Tyurin, Richtárik 2023): a step along the mean of the first B gradients of the newest model,
/// by default n, whoever computes them. What is in flight by then is thrown away.
///
/// Source: Optimal Time Complexities of Parallel Stochastic Optimization Methods Under a Fixed Computation
/// Model, arXiv:2305.12387.
class Rennala final : public Method {
 public:
  explicit Rennala(const MethodOptions& options)
      : workers_(options.workers), gathered_(option_or(options.gather, options.workers, "--gather")) {}

  ServerMemory memory() const override { return {.tables = 0, .mean = true}; }

  void start(Actions& actions) override {
    working_.reset(workers_);
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    if (gathered_.add(actions)) {
      actions.emplace_back(Step{});
      restart_all(working_, arrival.worker, actions);
    } else {
      actions.emplace_back(HandOver{arrival.worker});
    }
  }

  void lose(int worker, Actions&) override { working_.lose(worker); }

  void regain(int worker, Actions& actions) override {
    working_.regain(worker);
    actions.emplace_back(HandOver{worker});
  }

  void visit_state(StateArchive& state) override {
    working_.visit_state(state);
    gathered_.visit_state(state);
  }

 private:
  int workers_;
  Working working_;
  GatheredGradients gathered_;
};

}  // namespace

std::unique_ptr<Method> make_rennala(const MethodOptions& options) {
  return std::make_unique<Rennala>(options);
}

}  // namespace tardigrad
