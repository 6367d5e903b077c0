#pragma once

#include <filesystem>
#include <vector>

#include "runtime/objective/objective.h"

namespace tardigrad::models {

/// Describes noiseless quadratics, one a worker: f_i(x) = ½ xᵀA_i x − b_iᵀx, ∇f_i(x) = A_i x − b_i. There is
/// no minibatch, so what a method does on one is exactly predictable; the conformance cases of the methods
/// are such problems.
struct QuadraticProblem {
  int workers = 0;            ///< n
  std::size_t dimension = 0;  ///< d
  std::vector<float> a;       ///< [n, d, d]
  std::vector<float> b;       ///< [n, d]
  std::vector<float> x0;      ///< [d]
};

/// Reads {"A": n×d×d, "b": n×d, "x0": d} from a JSON file. Throws std::invalid_argument naming the file and
/// what is wrong.
QuadraticProblem load_quadratic(const std::filesystem::path& path);

/// Minimises a QuadraticProblem. It runs on every backend; engines on a CPU read the object's own memory, so
/// it must outlive them. Its one parameter tensor is "x" [d]; the seed of initialise() is not used;
/// evaluate() gives f(x), computed in float64, and no accuracy.
class Quadratic final : public Objective {
 public:
  explicit Quadratic(QuadraticProblem problem);

  const ParameterLayout& layout() const override { return layout_; }
  int workers() const override { return problem_.workers; }
  bool runs_on(Backend) const override { return true; }
  void initialise(std::span<float> model, std::uint64_t seed) const override;
  std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream,
                                              std::span<const int> workers = {}) override;
  EngineMemory engine_memory(Device device, std::span<const int> workers = {}) const override;
  Evaluation evaluate(std::span<const float> model, const BreakOff& break_off = {}) override;
  double full_gradient(std::span<const float> model, std::span<double> gradient,
                       const BreakOff& break_off = {}) override;
  bool sample_gradient(std::span<const float> model, std::span<double> gradient,
                       const BreakOff& break_off = {}) override {
    full_gradient(model, gradient, break_off);
    return true;
  }
  std::size_t examples_per_job(int /*worker*/) const override { return 0; }
  std::size_t examples() const override { return 0; }

 private:
  QuadraticProblem problem_;
  ParameterLayout layout_;
};

}  // namespace tardigrad::models
