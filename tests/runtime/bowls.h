#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/server_update.h"
#include "runtime/objective.h"

namespace tardigrad::testing {

/// f_i(x) = ½ ‖x − c_i‖², ∇f_i(x) = x − c_i, on every backend, of inexact numbers. There is no minibatch;
/// losses are 0.
class Bowls final : public Objective {
 public:
  Bowls(int workers, std::size_t dimension) : workers_(workers) {
    layout_.add("x", {static_cast<std::int64_t>(dimension)});
    for (std::size_t e = 0; e < dimension * static_cast<std::size_t>(workers); ++e) {
      centres_.push_back(static_cast<float>(std::sin(static_cast<double>(e * e + 1))));
    }
  }

  const ParameterLayout& layout() const override { return layout_; }
  int workers() const override { return workers_; }
  bool runs_on(Backend) const override { return true; }
  void initialise(std::span<float> model, std::uint64_t) const override {
    std::fill(model.begin(), model.end(), 0.3f);
  }
  /// The loss is element 0 itself.
  Evaluation evaluate(std::span<const float> model) override {
    return {.loss = static_cast<double>(model[0]), .accuracy = std::nullopt};
  }
  std::size_t examples_per_job() const override { return 0; }
  std::size_t examples() const override { return 0; }
  std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream) override {
    return std::make_unique<Engine>(centres_, dimension(), stream);
  }
  EngineMemory engine_memory(Device) const override {
    return {.shared_bytes = 0, .engine_bytes = centres_.size() * sizeof(float)};
  }

 private:
  class Engine final : public GradientEngine {
   public:
    Engine(const std::vector<float>& centres, std::size_t dimension, StreamRef stream)
        : dimension_(dimension), stream_(stream), centres_(stream, centres.size()) {
      stream_.copy(centres_.ref(), host_view(centres.data(), centres.size()));
    }
    void enqueue_minibatch(int, std::uint64_t) override {}
    void enqueue_gradient(int worker, BufferRef<const float> model, BufferRef<float> gradient,
                          float* loss) override {
      stream_.copy(gradient, model);
      ServerUpdate minus_centre;
      minus_centre.dimension = dimension_;
      minus_centre.gradient = centres_.ref().data() + static_cast<std::size_t>(worker) * dimension_;
      minus_centre.mean = gradient.data();
      minus_centre.mean_update = Mean::accumulate;
      minus_centre.mean_weight = -1;
      stream_.enqueue(minus_centre);
      stream_.host("loss", [loss] { *loss = 0; });
    }

   private:
    std::size_t dimension_;
    StreamRef stream_;
    Buffer<float> centres_;
  };

  int workers_;
  ParameterLayout layout_;
  std::vector<float> centres_;
};

}  // namespace tardigrad::testing
