#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "runtime/objective/objective.h"

namespace tardigrad::bench {

/// f_i(x) = 0 on so many parameters: gradients that cost nothing, so that all else shows.
class FreeGradients final : public Objective {
 public:
  FreeGradients(int workers, std::size_t dimension) : workers_(workers) {
    layout_.add("x", {static_cast<std::int64_t>(dimension)});
  }

  const ParameterLayout& layout() const override { return layout_; }
  int workers() const override { return workers_; }
  bool runs_on(Backend backend) const override { return backend == Backend::cpu; }
  void initialise(std::span<float> model, std::uint64_t) const override { std::ranges::fill(model, 0.0F); }
  Evaluation evaluate(std::span<const float>, const BreakOff& /*break_off*/ = {}) override { return {}; }
  std::size_t examples_per_job(int) const override { return 0; }
  std::size_t examples() const override { return 0; }
  std::unique_ptr<GradientEngine> make_engine(const StreamRef&, std::span<const int> = {}) override {
    return std::make_unique<Engine>();
  }

 private:
  class Engine final : public GradientEngine {
   public:
    void enqueue_minibatch(int, std::uint64_t) override {}

    /// Memory that nobody has written may be no memory yet: each vector is filled once.
    void enqueue_gradient(int, BufferRef<const float>, BufferRef<float> gradient, float* loss) override {
      if (filled_.insert(gradient.data()).second) std::fill_n(gradient.data(), gradient.size(), 0.0F);
      *loss = 0;
    }

   private:
    std::set<const float*> filled_;
  };

  int workers_;
  ParameterLayout layout_;
};

}  // namespace tardigrad::bench
