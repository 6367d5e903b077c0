#include <numeric>
#include <span>

#include "runtime/methods/assigned.h"

namespace tardigrad {
namespace {

/// Shuffled asynchronous SGD (Islamov, Safaryan, Alistarh 2024, AsGrad): as asgd-uniform, but the workers are
/// drawn without replacement, in an order that is shuffled anew after every n draws. The turns of the lost
/// are left out.
///
/// Source: AsGrad: A Sharp Unified Analysis of Asynchronous-SGD Algorithms, arXiv:2310.20452.
class AsgdShuffled final : public Assigned {
 public:
  using Assigned::Assigned;

  void start(Actions& actions) override {
    Assigned::start(actions);
    order_.resize(static_cast<std::size_t>(workers()));
    std::iota(order_.begin(), order_.end(), 0);
    drawn_ = order_.size();
  }

  void visit_state(StateArchive& state) override {
    Assigned::visit_state(state);
    state.workers("order", order_, workers(), true);
    state.number("drawn", drawn_, std::size_t{0}, order_.size());
  }

 private:
  int draw() override {
    int drawn = next();
    while (!working().has(drawn)) drawn = next();
    return drawn;
  }

  int next() {
    if (drawn_ == order_.size()) {
      random().shuffle(std::span(order_));
      drawn_ = 0;
    }
    return order_[drawn_++];
  }

  std::vector<int> order_;
  std::size_t drawn_ = 0;  // of order_
};

}  // namespace

std::unique_ptr<Method> make_asgd_shuffled(const MethodOptions& options) {
  return std::make_unique<AsgdShuffled>(options);
}

}  // namespace tardigrad
