#include "runtime/execution/gradient_jobs.h"

#include "kernels/server_update.h"

namespace tardigrad {

GradientJobs::GradientJobs(Objective& objective, StreamRef stream, const JobOptions& options,
                           std::span<const int> workers)
    : stream_(stream), options_(options), engine_(objective.make_engine(stream, workers)) {
  if (options.local_steps > 1) {
    local_model_.emplace(stream, objective.dimension());
    local_gradient_.emplace(stream, objective.dimension());
    local_loss_.emplace(stream.device(), 1);
  }
}

GradientJobs::~GradientJobs() { stream_.drain(); }

void GradientJobs::enqueue_minibatch(int worker, std::uint64_t job) {
  engine_->enqueue_minibatch(worker, job * static_cast<std::uint64_t>(options_.local_steps));
}

void GradientJobs::enqueue_gradient(int worker, std::uint64_t job, BufferRef<const float> model,
                                    BufferRef<float> gradient, float* loss) {
  engine_->enqueue_gradient(worker, model, gradient, loss);
  if (options_.local_steps > 1) enqueue_local_steps(worker, job, model, gradient);
}

void GradientJobs::enqueue_gradients(std::span<const GradientJob> jobs, float* losses,
                                     const std::function<void()>& wait_for_models) {
  if (jobs.size() > 1 && options_.local_steps == 1) {
    engine_->enqueue_gradients(jobs, losses, wait_for_models);
    return;
  }
  for (const GradientJob& job : jobs) {
    enqueue_minibatch(job.worker, job.number);
    if (&job == jobs.data()) wait_for_models();
    enqueue_gradient(job.worker, job.number, job.model, job.gradient, losses++);
  }
}

/// All but the first, whose gradient is there.
void GradientJobs::enqueue_local_steps(int worker, std::uint64_t job, BufferRef<const float> model,
                                       BufferRef<float> gradient) {
  const auto steps = static_cast<std::uint64_t>(options_.local_steps);
  stream_.copy(local_model_->ref(), model);
  step_locally(gradient);
  for (std::uint64_t step = 1; step < steps; ++step) {
    engine_->enqueue_minibatch(worker, job * steps + step);
    engine_->enqueue_gradient(worker, local_model_->ref(), local_gradient_->ref(), local_loss_->data());
    ServerUpdate sum;
    sum.dimension = gradient.size();
    sum.gradient = local_gradient_->ref().data();
    sum.mean = gradient.data();
    sum.mean_update = Mean::accumulate;
    stream_.enqueue(sum);
    if (step + 1 < steps) step_locally(local_gradient_->ref());
  }
}

void GradientJobs::step_locally(BufferRef<const float> gradient) {
  ServerUpdate step;
  step.dimension = gradient.size();
  step.gradient = gradient.data();
  step.model = local_model_->ref().data();
  step.step = true;
  step.step_size = static_cast<float>(options_.local_lr);
  stream_.enqueue(step);
}

}  // namespace tardigrad
