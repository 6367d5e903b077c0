#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "runtime/device/stream.h"
#include "runtime/execution/job_options.h"
#include "runtime/objective/objective.h"

namespace tardigrad {

/// Enqueues whole jobs on one stream: a gradient, or several local steps with their gradients summed.
class GradientJobs {
 public:
  /// For jobs of these workers; where `workers` is empty, of all. The stream outlives it.
  GradientJobs(Objective& objective, StreamRef stream, const JobOptions& options,
               std::span<const int> workers = {});
  GradientJobs(const GradientJobs&) = delete;
  GradientJobs& operator=(const GradientJobs&) = delete;

  /// Blocks until the stream has come to the end of what is enqueued: it uses the members.
  ~GradientJobs();

  /// The part of a job that needs no model: drawing and gathering its (first) minibatch. Followed by
  /// enqueue_gradient() of the same job.
  void enqueue_minibatch(int worker, std::uint64_t job);

  /// gradient [d] ← that of the job at `model` [d]; *loss ← that of its first minibatch, at `model`. With Q
  /// local steps: y_0 = model, y_{q+1} = y_q − η ∇f(y_q; minibatch jQ + q), gradient = Σ_q ∇f(y_q; …), which
  /// is (y_0 − y_Q)/η without its cancellation.
  void enqueue_gradient(int worker, std::uint64_t job, BufferRef<const float> model,
                        BufferRef<float> gradient, float* loss);

  /// Returns how many jobs of a backend enqueue_gradients() computes at once.
  static std::size_t at_once(const Objective& objective, Backend backend, const JobOptions& options) {
    return options.local_steps == 1 ? objective.gradients_at_once(backend) : 1;
  }

  /// Does both for one job or several, all at once where the objective can: losses[k] is that of job k. It
  /// calls `wait_for_models` once, before it enqueues what reads a model or writes a gradient.
  void enqueue_gradients(std::span<const GradientJob> jobs, float* losses,
                         const std::function<void()>& wait_for_models);

 private:
  void enqueue_local_steps(int worker, std::uint64_t job, BufferRef<const float> model,
                           BufferRef<float> gradient);
  void step_locally(BufferRef<const float> gradient);

  StreamRef stream_;
  JobOptions options_;
  std::unique_ptr<GradientEngine> engine_;
  // With several local steps:
  std::optional<Buffer<float>> local_model_;
  std::optional<Buffer<float>> local_gradient_;
  std::optional<PinnedBuffer<float>> local_loss_;
};

}  // namespace tardigrad
