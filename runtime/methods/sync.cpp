#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Synchronous minibatch SGD ("Naive Minibatch SGD" of Maranjyan, Richtárik 2025): a round waits for all n
/// workers.
class Sync final : public Method {
 public:
  explicit Sync(const MethodOptions& options) : workers_(options.workers), round_(options.workers) {}

  ServerMemory memory() const override { return {.tables = 0, .mean = true, .jobs = JobSpread::rounds}; }

  void start(Actions& actions) override { hand_over_to_all(workers_, actions); }

  void arrive(const Arrival&, Actions& actions) override {
    if (!round_.add(actions)) return;
    actions.emplace_back(Step{});
    hand_over_to_all(workers_, actions);
  }

 private:
  int workers_;
  Batch round_;
};

}  // namespace

std::unique_ptr<Method> make_sync(const MethodOptions& options) { return std::make_unique<Sync>(options); }

}  // namespace tardigrad
