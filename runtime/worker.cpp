#include "runtime/worker.h"

#include <memory>

namespace tardigrad {

Worker::Worker(int index, StreamRef stream, GradientEngine& engine, std::size_t dimension, int jobs_ahead)
    : index_(index),
      stream_(stream),
      engine_(engine),
      replica_(stream, dimension),
      gradient_(stream, dimension) {
  for (int i = 0; i < jobs_ahead; ++i) jobs_.emplace_back(stream.device());
  stream.synchronize();
}

void Worker::start_job(const Event& model_ready, const Throttle& throttle,
                       std::function<void()> on_complete) {
  const std::uint64_t number = started_++;
  Job& job = jobs_[number % jobs_.size()];
  engine_.enqueue_minibatch(index_, number);
  stream_.wait(model_ready);
  enqueue_gradient(job, throttle);
  stream_.record(job.complete);
  if (on_complete) stream_.notify(std::move(on_complete));
}

void Worker::enqueue_gradient(Job& job, const Throttle& throttle) {
  if (!throttle.stopwatch) {
    engine_.enqueue_gradient(index_, replica_.ref(), gradient_.ref(), job.loss.data());
    return;
  }
  const auto began_s = std::make_shared<double>();
  stream_.host("begin", [began_s, throttle] { *began_s = throttle.stopwatch->elapsed_s(); });
  engine_.enqueue_gradient(index_, replica_.ref(), gradient_.ref(), job.loss.data());
  stream_.host("throttle", [began_s, throttle] {
    throttle.stopwatch->sleep_until(*began_s + throttle.compute_s, throttle.stop);
  });
}

float Worker::collect() {
  const Job& job = jobs_[collected_++ % jobs_.size()];
  job.complete.synchronize();
  return *job.loss.data();
}

}  // namespace tardigrad
