#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// FedBuff (Nguyen et al. 2022, Algorithm 1): every K-th arrival makes a step along the mean of the last K. A
/// worker goes on at once with the newest model: the one whose arrival makes the step, with what it made.
///
/// Source: Federated Learning with Buffered Asynchronous Aggregation, arXiv:2106.06639.
class Fedbuff final : public Method {
 public:
  explicit Fedbuff(const MethodOptions& options)
      : workers_(options.workers), buffer_(option_or(options.gather, default_gather, "--gather")) {}

  ServerMemory memory() const override { return {.tables = 0, .mean = true}; }

  void start(Actions& actions) override { hand_over_to_all(workers_, actions); }

  void arrive(const Arrival& arrival, Actions& actions) override {
    if (buffer_.add(actions)) actions.emplace_back(Step{});
    actions.emplace_back(HandOver{arrival.worker});
  }

  void visit_state(StateArchive& state) override { buffer_.visit_state(state); }

 private:
  static constexpr int default_gather = 10;  // the paper's K

  int workers_;
  GatheredGradients buffer_;
};

}  // namespace

std::unique_ptr<Method> make_fedbuff(const MethodOptions& options) {
  return std::make_unique<Fedbuff>(options);
}

}  // namespace tardigrad
