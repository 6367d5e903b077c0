#include "runtime/execution/streams/gradient_stream.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "kernels/device_time.h"

namespace tardigrad {

GradientStream::Job::Job(StreamRef stream, Device server, std::size_t dimension)
    : complete(stream.device()),
      taken(server),
      gradient(stream, dimension),
      loss(stream.device(), 1),
      began_ns(stream, 2),
      cancelled_on_device(stream.device(), 2) {
  std::fill_n(cancelled_on_device.data(), 2, 0);
}

void GradientStream::Job::cancel() {
  cancelled.request_stop();
  std::atomic_ref(cancelled_on_device.data()[in_use]).store(1, std::memory_order_release);
}

std::optional<double> GradientStream::Job::computing_s() const {
  if (!times) return std::nullopt;
  times->ended.synchronize();  // it is over, which CUDA may not have noted yet
  return seconds_between(times->began, times->ended);
}

GradientStream::GradientStream(Objective& objective, Device device, const Options& options)
    : worker_(options.worker),
      stream_(device, options.name),
      gradients_(objective, stream_, options.job, {&worker_, 1}),
      end_(device) {
  for (std::size_t i = 0; i < options.slots; ++i) {
    Job& job = jobs_.emplace_back(stream_, options.server, objective.dimension());
    if (options.time_jobs) job.times = Job::Times{TimedEvent(device), TimedEvent(device)};
  }
  latest_ = &jobs_.front();
  stream_.ref().synchronize();
}

void GradientStream::start(std::uint64_t number, const Replica& replica, const Throttle* throttle,
                           std::function<void()> on_complete) {
  enqueue(number, replica, throttle);
  const StreamRef stream = stream_;
  stream.record(job().complete);
  if (on_complete) stream.notify(std::move(on_complete));
  gradients_.enqueue_minibatch(worker_, number + 1);
  gathered_ = number + 1;
}

void GradientStream::enqueue(std::uint64_t number, const Replica& replica, const Throttle* throttle) {
  const ProfilerRange range("job", number);
  Job& started = job(number);
  latest_ = &started;
  started.cancelled = {};
  started.in_use = 1 - started.in_use;
  std::atomic_ref(started.cancelled_on_device.data()[started.in_use]).store(0, std::memory_order_release);
  const StreamRef stream = stream_;
  stream.leave_out_on(started.cancelled.get_token());
  if (std::exchange(gathered_, std::nullopt) != number) gradients_.enqueue_minibatch(worker_, number);
  stream.wait(replica.written);
  stream.wait(started.taken);
  if (started.times) stream.record(started.times->began);
  if (throttle) enqueue_begin(started, *throttle);
  gradients_.enqueue_gradient(worker_, number, replica.model, started.gradient.ref(), started.loss.data());
  if (throttle) enqueue_stretch(started, number, *throttle);
  stream.leave_out_on({});
  if (started.times) stream.record(started.times->ended);
}

void GradientStream::enqueue_begin(Job& job, const Throttle& throttle) {
  const StreamRef stream = stream_;
  if (device().backend == Backend::cpu) {
    stream.host("begin", [&job, &throttle] { job.began_s = throttle.now(); });
  } else {
    stream.enqueue(StampTime{job.began_ns.ref().data(), throttle.pauses,
                             throttle.pauses ? job.began_ns.ref().data() + 1 : nullptr});
  }
}

void GradientStream::enqueue_stretch(Job& job, std::uint64_t number, const Throttle& throttle) {
  const StreamRef stream = stream_;
  if (device().backend == Backend::cpu) {
    stream.host("throttle", [this, &job, &throttle, number, stop = job.cancelled.get_token()] {
      throttle.stretch(worker_, number, job.began_s, stop);
    });
    return;
  }
  const Throttle::Lasting lasting = throttle.lasting(worker_, number);
  Stretch stretch;
  stretch.began_ns = job.began_ns.ref().data();
  stretch.duration_ns = 1e9 * lasting.duration_s;
  stretch.slowdown = lasting.slowdown;
  stretch.pauses = throttle.pauses;
  stretch.paused_before_ns = job.began_ns.ref().data() + 1;
  stretch.cut_short = job.cancelled_on_device.data() + job.in_use;
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
