#include "runtime/execution/streams/wall_stream_executor.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <utility>

namespace tardigrad {
namespace {

/// Whether a stream comes to the end of its work until so many seconds after `began`.
bool ends_within(const GradientStream& stream, std::chrono::steady_clock::time_point began,
                 double timeout_s) {
  constexpr std::chrono::microseconds nap(200);
  while (!stream.drained()) {
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - began;
    if (waited.count() > timeout_s) return false;
    std::this_thread::sleep_for(nap);
  }
  return true;
}

}  // namespace

WallStreamExecutor::WallStreamExecutor(Objective& objective, const Devices& devices, ServerMemory memory,
                                       const ServerOptions& server, const JobOptions& job, Wall wall,
                                       std::size_t slots)
    : StreamExecutor(objective, devices, memory, server,
                     StreamLayout(static_cast<std::size_t>(objective.workers()), devices, true, 1)),
      wall_(std::move(wall)) {
  for (int worker = 0; worker < objective.workers(); ++worker) {
    const Device device = devices.of_worker(static_cast<std::size_t>(worker));
    streams_.push_back(
        {std::make_unique<GradientStream>(objective, device,
                                          GradientStream::Options{.name = fmt::format("worker {}", worker),
                                                                  .server = home_of(device, devices),
                                                                  .job = job,
                                                                  .worker = worker,
                                                                  .time_jobs = wall_.time_jobs,
                                                                  .slots = slots})});
  }
  show_pauses_to_devices();
  if (wall_.completions == Completions::polling) wall_.events.poll_with([this] { poll(); });
}

WallStreamExecutor::~WallStreamExecutor() {
  WallStreamExecutor::drain({});
  if (pauses_) wall_.throttle->stopwatch.show_pauses(nullptr);
}

void WallStreamExecutor::show_pauses_to_devices() {
  if (server_device().backend == Backend::cpu || !wall_.throttle) return;
  pauses_.emplace(server_device(), 1);
  wall_.throttle->pauses = pauses_->data();
  wall_.throttle->stopwatch.show_pauses(pauses_->data());
}

/// The host has seen that the gradient is complete: whatever is enqueued now comes after it.
void WallStreamExecutor::arrive(int worker, const Job&, Orders& orders, double lr) {
  GradientStream::Job& job = state(worker).stream->job();
  release_oldest(worker);
  const ArrivedGradient gradient{job.gradient.ref(), nullptr, nullptr, &job.taken};
  note_arrival(job);
  const ArrivalActions all{orders.for_server(), lr, place_jobs(orders), &gradient};
  apply({&all, 1}, orders.version());
  begin(orders.starts());
}

void WallStreamExecutor::note_arrival(const GradientStream::Job& job) {
  computing_s_ = job.computing_s();
  losses_.push(*job.loss.data());
}

/// Asked before the server's stream meets a failure, which ends with the worker thus.
bool WallStreamExecutor::is_healthy(int worker) {
  if (state(worker).failed) return false;
  try {
    state(worker).stream->job().complete.synchronize();
    return true;
  } catch (const DeviceError& error) {
    fail(worker, error);
    return false;
  }
}

bool WallStreamExecutor::has_ended(int worker) {
  try {
    return state(worker).stream->job().complete.complete();
  } catch (const DeviceError& error) {
    fail(worker, error);
    return true;
  }
}

/// The worker is to be lost, and with it all others of its device if it was the device that failed.
void WallStreamExecutor::fail(int worker, const DeviceError& error) {
  if (std::exchange(state(worker).failed, true)) return;
  std::string what = told_by(state(worker).stream->stream(), error);
  if (!models_of(worker).empty()) {
    what = fmt::format("job {} of worker {} is lost: {}", models_of(worker).front().job, worker, what);
  }
  failures_.push({worker, std::move(what)});
}

std::optional<Executor::Failure> WallStreamExecutor::next_failure() {
  if (failures_.empty()) return std::nullopt;
  check_server();  // whose failures its workers meet, too
  check_workers();
  return failures_.pop();
}

void WallStreamExecutor::begin(const std::vector<int>& workers) {
  for (const int worker : workers) {
    if (!state(worker).failed) begin_job(worker);
  }
}

std::function<void()> WallStreamExecutor::notice(int worker) {
  if (wall_.completions == Completions::polling) {
    poll_for(worker);
    return {};
  }
  return [&events = wall_.events, worker] { events.gradient_complete(worker); };
}

void WallStreamExecutor::begin_job(int worker) {
  std::function<void()> on_complete = notice(worker);
  try {
    const auto [job, replica] = models_of(worker).front();
    state(worker).stream->start(job, *replica, throttle(), std::move(on_complete));
  } catch (const DeviceError& error) {
    fail(worker, error);
  }
}

/// The job is cancelled where it can be, and heard of once more; the stream and the replica are its own until
/// then.
void WallStreamExecutor::discard(int worker) {
  if (!state(worker).failed) state(worker).stream->job().cancel();
}

/// A job on a stream stays there until its end, or for good where the stream failed.
void WallStreamExecutor::lose(int worker, bool computes) {
  const bool one_goes_on = computes && !state(worker).failed;
  if (one_goes_on) state(worker).stream->job().cancel();
  while (models_of(worker).size() > (one_goes_on ? 1 : 0)) release_latest(worker);
}

/// In the order of the list, in which a worker that was found comes last again.
void WallStreamExecutor::poll() {
  const auto complete = [this](int worker) {
    if (state(worker).failed) return true;
    if (!has_ended(worker)) return false;
    if (!state(worker).failed) tell(worker);
    return true;
  };
  if (std::erase_if(polled_, complete) == 0) std::this_thread::yield();
}

void WallStreamExecutor::check() {
  check_server();
  check_workers();
}

void WallStreamExecutor::check_workers() {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    try {
      streams_[i].stream->stream().check();
    } catch (const DeviceError& error) {
      fail(static_cast<int>(i), error);
    }
  }
}

bool WallStreamExecutor::drain(const DrainTimeout& timeout) noexcept {
  for (const WorkerStream& worker : streams_) worker.stream->begin_drain();
  bool all_over = true;
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (timeout) {
      all_over = ends_within(*streams_[i].stream, began, timeout(static_cast<int>(i))) && all_over;
    } else {
      streams_[i].stream->drain();
    }
  }
  drain_server();
  return all_over;
}

}  // namespace tardigrad
