#include "runtime/execution/gradient_stream.h"

#include <atomic>
#include <memory>
#include <utility>

#include "kernels/device_time.h"

namespace tardigrad {

GradientStream::Job::Job(StreamRef stream, Device server, std::size_t dimension)
    : complete(stream.device()),
      taken(server),
      gradient(stream, dimension),
      loss(stream.device(), 1),
      began_ns(stream, 1),
      cancelled_on_device(stream.device(), 1) {}

void GradientStream::Job::cancel() {
  cancelled.request_stop();
  std::atomic_ref(*cancelled_on_device.data()).store(1, std::memory_order_release);
}

std::optional<double> GradientStream::Job::computing_s() const {
  if (!times) return std::nullopt;
  return seconds_between(times->began, times->ended);
}

GradientStream::GradientStream(Objective& objective, Device device, const Options& options)
    : stream_(device, options.name),
      gradients_(objective, stream_, options.job, options.workers),
      end_(device) {
  for (int i = 0; i < options.jobs_ahead; ++i) {
    Job& job = jobs_.emplace_back(stream_, options.server, objective.dimension());
    if (options.time_jobs) job.times = Job::Times{TimedEvent(device), TimedEvent(device)};
  }
  stream_.ref().synchronize();
}

void GradientStream::start(int worker, std::uint64_t number, const Replica& replica, const Throttle* throttle,
                           std::function<void()> on_complete) {
  const ProfilerRange range("job", number);
  Job& job = jobs_[started_++ % jobs_.size()];
  job.cancelled = {};
  std::atomic_ref(*job.cancelled_on_device.data()).store(0, std::memory_order_release);
  const StreamRef stream = stream_;
  stream.leave_out_on(job.cancelled.get_token());
  if (std::exchange(gathered_, std::nullopt) != number) gradients_.enqueue_minibatch(worker, number);
  stream.wait(replica.written);
  stream.wait(job.taken);
  if (job.times) stream.record(job.times->began);
  if (throttle) enqueue_begin(job, *throttle);
  gradients_.enqueue_gradient(worker, number, replica.model, job.gradient.ref(), job.loss.data());
  if (throttle) enqueue_stretch(job, worker, number, *throttle);
  stream.leave_out_on({});
  if (job.times) stream.record(job.times->ended);
  stream.record(job.complete);
  if (on_complete) stream.notify(std::move(on_complete));
  if (jobs_.size() == 1) {
    gradients_.enqueue_minibatch(worker, number + 1);
    gathered_ = number + 1;
  }
}

void GradientStream::enqueue_begin(Job& job, const Throttle& throttle) {
  const StreamRef stream = stream_;
  if (device().backend == Backend::cpu) {
    stream.host("begin", [&job, &throttle] { job.began_s = throttle.now(); });
  } else {
    stream.enqueue(StampTime{job.began_ns.ref().data()});
  }
}

void GradientStream::enqueue_stretch(Job& job, int worker, std::uint64_t number, const Throttle& throttle) {
  const StreamRef stream = stream_;
  if (device().backend == Backend::cpu) {
    stream.host("throttle", [&job, &throttle, worker, number, stop = job.cancelled.get_token()] {
      throttle.stretch(worker, number, job.began_s, stop);
    });
    return;
  }
  const Throttle::Lasting lasting = throttle.lasting(worker, number);
  Stretch stretch;
  stretch.began_ns = job.began_ns.ref().data();
  stretch.duration_ns = 1e9 * lasting.duration_s;
  stretch.slowdown = lasting.slowdown;
  stretch.pauses = throttle.pauses;
  stretch.paused_before_ns = std::atomic_ref(throttle.pauses->paused_ns).load();
  stretch.cut_short = job.cancelled_on_device.data();
  stream.enqueue(stretch);
}

void GradientStream::begin_drain() noexcept {
  for (Job& job : jobs_) job.cancel();
  try {
    stream_.ref().record(end_);
  } catch (const std::exception&) {  // a device that is lost does nothing more
  }
}

bool GradientStream::drained() const noexcept {
  try {
    return end_.complete();
  } catch (const std::exception&) {
    return true;
  }
}

}  // namespace tardigrad
