#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/objective/objective.h"

namespace tardigrad::models {

struct TridiagonalOptions {
  int dimension = 1;  ///< d
  double noise = 0;   ///< Standard deviation of each component of a gradient.
  double spread = 0;  ///< Standard deviation of each component of the workers' b_i.
  std::optional<std::uint64_t> problem_seed = {};  ///< Of the b_i, where they have one of their own.
};

/// Tells whether `text` asks for a Tridiagonal, well or badly.
bool is_tridiagonal(std::string_view text);

/// Reads "tridiagonal:D", followed by ":noise=VALUE" and ":spread=VALUE" in any order or not. Throws
/// std::invalid_argument naming `text` and what was expected.
TridiagonalOptions parse_tridiagonal(std::string_view text);

/// Is the quadratic of the experiments with asynchronous methods, in as many dimensions and with as many
/// workers as wanted: f(x) = ½ xᵀA x − bᵀx with
///
///     A = ¼ tridiag(−1, 2, −1),   b = ¼ (−1, 0, …, 0),   x⁰ = (√d, 0, …, 0)
///
/// (Tyurin, Richtárik 2023, "Optimal time complexities of parallel stochastic optimization methods under a
/// fixed computation model"; the convex one of Nesterov's lower bounds). Its least value is −d / (8 (d + 1)),
/// at x_i = i / (d + 1) − 1. Worker i has
///
///     f_i(x) = ½ xᵀA x − b_iᵀx,   b_i = b + spread · (ξ_i − 1/n Σ_j ξ_j),   ξ_i ~ N(0, I),
///
/// so that the mean of the f_i is f, up to the rounding of b_i to fp32. Its stochastic gradients are
/// ∇f_i(x) + noise · ξ, ξ ~ N(0, I) drawn for each job (Maranjyan, Tyurin, Richtárik 2025, "Ringmaster
/// ASGD"), and the loss of a job is that whose gradient this is, f_i(x) + noise · ξᵀx.
///
/// Every ξ is a function of the seed, the worker and the job. It takes n·d floats where spread > 0, else d.
/// It runs on every backend; noise is drawn on the host. Its one parameter tensor is "x" [d]; the seed of
/// initialise() is not used; evaluate() gives f(x), the mean of the f_i as they are, in float64 and O(d).
class Tridiagonal final : public Objective {
 public:
  /// Takes `options` as parse_tridiagonal() gives them. Throws std::invalid_argument for less than one
  /// worker.
  Tridiagonal(const TridiagonalOptions& options, int workers, std::uint64_t seed);

  const ParameterLayout& layout() const override { return layout_; }
  int workers() const override { return workers_; }
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
  class Engine;

  void draw_offsets();
  std::span<const float> offset(int worker) const;

  TridiagonalOptions options_;
  int workers_;
  std::uint64_t seed_;
  ParameterLayout layout_;
  std::vector<float> offsets_;       // b_i [n, d]; only b [d] where there is no spread
  std::vector<double> mean_offset_;  // [d], of the b_i
};

}  // namespace tardigrad::models
