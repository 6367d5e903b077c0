#include "kernels/random.h"
#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Asynchronous SGD with random assignment (Koloskova, Stich, Jaggi 2022, (iii)): each new model is queued at
/// a worker drawn uniformly, so that all take part alike however fast they are. n jobs are outstanding
/// always.
class AsgdUniform final : public Method {
 public:
  explicit AsgdUniform(const MethodOptions& options)
      : workers_(options.workers), random_(options.seed, Purpose::assignment) {}

  ServerMemory memory() const override { return {.jobs = JobSpread::anywhere}; }

  void start(Actions& actions) override { hand_over_to_all(workers_, actions); }

  void arrive(const Arrival&, Actions& actions) override {
    actions.emplace_back(Step{});
    actions.emplace_back(HandOver{static_cast<int>(random_.below(static_cast<std::uint32_t>(workers_)))});
  }

 private:
  int workers_;
  Random random_;
};

}  // namespace

std::unique_ptr<Method> make_asgd_uniform(const MethodOptions& options) {
  return std::make_unique<AsgdUniform>(options);
}

}  // namespace tardigrad
