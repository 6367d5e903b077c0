#include <numeric>

#include "kernels/random.h"
#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Shuffled asynchronous SGD (Islamov, Safaryan, Alistarh 2024, AsGrad): as asgd-uniform, but the workers are
/// drawn without replacement, in an order that is shuffled anew after every n draws.
class AsgdShuffled final : public Method {
 public:
  explicit AsgdShuffled(const MethodOptions& options)
      : workers_(options.workers), random_(options.seed, Purpose::assignment) {}

  ServerMemory memory() const override { return {.jobs = JobSpread::anywhere}; }

  void start(Actions& actions) override {
    order_.resize(static_cast<std::size_t>(workers_));
    std::iota(order_.begin(), order_.end(), 0);
    drawn_ = order_.size();
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival&, Actions& actions) override {
    actions.emplace_back(Step{});
    actions.emplace_back(HandOver{draw()});
  }

 private:
  int draw() {
    if (drawn_ == order_.size()) {
      random_.shuffle(std::span(order_));
      drawn_ = 0;
    }
    return order_[drawn_++];
  }

  int workers_;
  Random random_;
  std::vector<int> order_;
  std::size_t drawn_ = 0;  // of order_
};

}  // namespace

std::unique_ptr<Method> make_asgd_shuffled(const MethodOptions& options) {
  return std::make_unique<AsgdShuffled>(options);
}

}  // namespace tardigrad
