#include "runtime/methods/assigned.h"

namespace tardigrad {
namespace {

/// Asynchronous SGD with random assignment (Koloskova, Stich, Jaggi 2022, (iii)): each new model is queued at
/// a worker drawn uniformly, so that all take part alike however fast they are.
///
/// Source: Sharper Convergence Guarantees for Asynchronous SGD for Distributed and Federated Learning,
/// arXiv:2206.08307.
class AsgdUniform final : public Assigned {
 public:
  using Assigned::Assigned;

 private:
  int draw() override {
    return working()[static_cast<int>(random().below(static_cast<std::uint32_t>(working().count())))];
  }
};

}  // namespace

std::unique_ptr<Method> make_asgd_uniform(const MethodOptions& options) {
  return std::make_unique<AsgdUniform>(options);
}

}  // namespace tardigrad
