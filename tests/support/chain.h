#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/quadratic_gradient.h"
#include "runtime/objective/objective.h"

namespace tardigrad::testing {

/// f_i(x; job) = ½ xᵀA x − b(i, job)ᵀx with A = ¼ tridiag(−1, 2, −1), by operations that every backend has.
class Chain final : public Objective {
 public:
  /// Says that it computes so many gradients at once, which it does one after another.
  Chain(int workers, std::size_t dimension, std::size_t at_once = 1) : workers_(workers), at_once_(at_once) {
    layout_.add("x", {static_cast<std::int64_t>(dimension)});
    for (std::size_t i = 0; i < dimension + shifts; ++i) {
      offsets_.push_back(static_cast<float>(i * 7919 % 101) / 101 - 0.5F);
    }
  }

  const ParameterLayout& layout() const override { return layout_; }
  int workers() const override { return workers_; }
  bool runs_on(Backend) const override { return true; }
  void initialise(std::span<float> model, std::uint64_t) const override {
    std::fill(model.begin(), model.end(), 1.0F);
  }
  Evaluation evaluate(std::span<const float> model, const BreakOff& /*break_off*/ = {}) override {
    return {.loss = static_cast<double>(model[0]), .accuracy = {}};
  }
  std::size_t examples_per_job(int) const override { return 0; }
  std::size_t examples() const override { return 0; }
  std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream, std::span<const int> = {}) override {
    return std::make_unique<Engine>(*this, stream);
  }
  std::size_t gradients_at_once(Backend) const override { return at_once_; }
  EngineMemory engine_memory(Device, std::span<const int> = {}) const override {
    return {.shared_bytes = 0, .engine_bytes = offsets_.size() * sizeof(float)};
  }

 private:
  static constexpr std::size_t shifts = 64;  // of the offsets, which differ by worker and job

  class Engine final : public GradientEngine {
   public:
    Engine(const Chain& owner, StreamRef stream)
        : dimension_(owner.dimension()), stream_(stream), offsets_(stream, owner.offsets_.size()) {
      stream.copy(offsets_.ref(), host_view(owner.offsets_.data(), owner.offsets_.size()));
    }
    void enqueue_minibatch(int worker, std::uint64_t job) override {
      shift_ = (static_cast<std::uint64_t>(worker) * 13 + job) % shifts;
    }
    void enqueue_gradient(int, BufferRef<const float> model, BufferRef<float> gradient,
                          float* loss) override {
      TridiagonalGradient operation;
      operation.dimension = dimension_;
      operation.offset = offsets_.ref().data() + shift_;
      operation.parameters = model.data();
      operation.gradient = gradient.data();
      operation.loss = loss;
      stream_.enqueue(operation);
    }

   private:
    std::size_t dimension_;
    StreamRef stream_;
    Buffer<float> offsets_;
    std::size_t shift_ = 0;
  };

  int workers_;
  std::size_t at_once_;
  ParameterLayout layout_;
  std::vector<float> offsets_;
};

}  // namespace tardigrad::testing
