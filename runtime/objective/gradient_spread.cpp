#include "runtime/objective/gradient_spread.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

namespace tardigrad {
namespace {

double norm_sq(const std::vector<double>& x) {
  return std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
}

void add(std::vector<double>& sum, std::span<const double> x) {
  std::ranges::transform(sum, x, sum.begin(), std::plus<>());
}

void divide(std::vector<double>& x, double by) {
  for (double& value : x) value /= by;
}

/// Computes the gradients of one worker after another.
class Sampler {
 public:
  Sampler(Objective& objective, std::span<const float> model)
      : model_(model),
        stream_(Stream::immediate(Device{}, "gradients")),
        engine_(objective.make_engine(stream_)),
        gradient_(model.size()) {}

  /// Writes the gradient of a job [d].
  void compute(int worker, std::uint64_t job, std::vector<double>& gradient) {
    float loss = 0;
    engine_->enqueue_minibatch(worker, job);
    engine_->enqueue_gradient(worker, host_view(model_.data(), model_.size()),
                              host_view(gradient_.data(), gradient_.size()), &loss);
    stream_.ref().synchronize();
    gradient.assign(gradient_.begin(), gradient_.end());
  }

 private:
  std::span<const float> model_;
  Stream stream_;
  std::unique_ptr<GradientEngine> engine_;
  std::vector<float> gradient_;
};

}  // namespace

/// With m_i the mean of K gradients of worker i, and m that of the m_i: E‖m_i‖² = ‖∇f_i‖² + σ_i²/K, and
/// E‖m‖² = ‖∇f‖² + σ²/(nK).
GradientSpread estimate_gradient_spread(Objective& objective, std::span<const float> model, int jobs,
                                        const BreakOff& break_off) {
  const int workers = objective.workers();
  Sampler sampler(objective, model);
  std::vector<double> gradient;
  std::vector<double> mean(model.size());
  double squares_of_gradients = 0;  // means over the workers
  double squares_of_means = 0;
  for (int worker = 0; worker < workers; ++worker) {
    std::vector<double> of_worker(model.size());
    for (int job = 0; job < jobs; ++job) {
      break_off.check();
      sampler.compute(worker, static_cast<std::uint64_t>(job), gradient);
      squares_of_gradients += norm_sq(gradient) / jobs / workers;
      add(of_worker, gradient);
    }
    divide(of_worker, jobs);
    squares_of_means += norm_sq(of_worker) / workers;
    add(mean, of_worker);
  }
  divide(mean, workers);
  const double noise = (squares_of_gradients - squares_of_means) * jobs / (jobs - 1);
  const double square_of_mean = norm_sq(mean);
  const double noise_of_mean = noise / jobs / workers;
  const double differences = squares_of_means - square_of_mean - noise / jobs + noise_of_mean;
  return {.norm_sq = std::max(0.0, square_of_mean - noise_of_mean),
          .noise = std::max(0.0, noise),
          .differences = std::max(0.0, differences)};
}

}  // namespace tardigrad
