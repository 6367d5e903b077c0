#include "runtime/execution/streams/gradient_stream.h"

#include <atomic>
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
    : worker_(options.worker),
      stream_(device, options.name),
      gradients_(objective, stream_, options.job, {&worker_, 1}),
      job_(stream_, options.server, objective.dimension()),
      end_(device) {
  if (options.time_jobs) job_.times = Job::Times{TimedEvent(device), TimedEvent(device)};
  stream_.ref().synchronize();
}

void GradientStream::start(std::uint64_t number, const Replica& replica, const Throttle* throttle,
                           std::function<void()> on_complete) {
  const ProfilerRange range("job", number);
  job_.cancelled = {};
  std::atomic_ref(*job_.cancelled_on_device.data()).store(0, std::memory_order_release);
  const StreamRef stream = stream_;
  stream.leave_out_on(job_.cancelled.get_token());
  if (std::exchange(gathered_, std::nullopt) != number) gradients_.enqueue_minibatch(worker_, number);
  stream.wait(replica.written);
  stream.wait(job_.taken);
  if (job_.times) stream.record(job_.times->began);
  if (throttle) enqueue_begin(*throttle);
  gradients_.enqueue_gradient(worker_, number, replica.model, job_.gradient.ref(), job_.loss.data());
  if (throttle) enqueue_stretch(number, *throttle);
  stream.leave_out_on({});
  if (job_.times) stream.record(job_.times->ended);
  stream.record(job_.complete);
  if (on_complete) stream.notify(std::move(on_complete));
  gradients_.enqueue_minibatch(worker_, number + 1);
  gathered_ = number + 1;
}

void GradientStream::enqueue_begin(const Throttle& throttle) {
  const StreamRef stream = stream_;
  if (device().backend == Backend::cpu) {
    stream.host("begin", [this, &throttle] { job_.began_s = throttle.now(); });
  } else {
    stream.enqueue(StampTime{job_.began_ns.ref().data()});
  }
}

void GradientStream::enqueue_stretch(std::uint64_t number, const Throttle& throttle) {
  const StreamRef stream = stream_;
  if (device().backend == Backend::cpu) {
    stream.host("throttle", [this, &throttle, number, stop = job_.cancelled.get_token()] {
      throttle.stretch(worker_, number, job_.began_s, stop);
    });
    return;
  }
  const Throttle::Lasting lasting = throttle.lasting(worker_, number);
  Stretch stretch;
  stretch.began_ns = job_.began_ns.ref().data();
  stretch.duration_ns = 1e9 * lasting.duration_s;
  stretch.slowdown = lasting.slowdown;
  stretch.pauses = throttle.pauses;
  stretch.paused_before_ns = std::atomic_ref(throttle.pauses->paused_ns).load();
  stretch.cut_short = job_.cancelled_on_device.data();
  stream.enqueue(stretch);
}

void GradientStream::begin_drain() noexcept {
  job_.cancel();
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
