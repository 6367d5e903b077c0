#include "runtime/execution/stream_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

#include "runtime/execution/stream_layout.h"
#include "runtime/server/replicated_server.h"
#include "runtime/server/sharded_server.h"

namespace tardigrad {
namespace {

/// How a failure is told: the stream that it struck knows more of it than the call that met it.
std::string told_by(const StreamRef& stream, const DeviceError& error) {
  try {
    stream.check();
  } catch (const DeviceError& known) {
    return known.what();
  }
  return error.what();
}

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

StreamExecutor::StreamExecutor(Objective& objective, const Devices& devices, ServerMemory memory,
                               const ServerOptions& server, const JobOptions& job, std::optional<Wall> wall)
    : wall_(std::move(wall)), workers_(static_cast<std::size_t>(objective.workers())) {
  make_server(objective, devices, memory, server);
  const StreamLayout layout(workers_.size(), devices.workers.size(), wall_.has_value());
  const std::size_t streams = layout.streams;
  capacity_ = layout.jobs_ahead * streams;
  // With more, few workers would have too little to compute meanwhile.
  most_gathered_ = std::clamp<std::size_t>(workers_.size() / 2, 1, streams);
  for (std::size_t i = 0; i < streams; ++i) {
    const Device device = devices.of_worker(i);
    const Device home = devices.replicated ? device : devices.server;
    streams_.push_back(std::make_unique<GradientStream>(
        objective, device,
        GradientStream::Options{.name = fmt::format("{} {}", wall_ ? "worker" : "workers", i),
                                .server = home,
                                .job = job,
                                .workers = layout.workers_of(i),
                                .jobs_ahead = static_cast<int>(layout.jobs_ahead),
                                .time_jobs = wall_ && wall_->time_jobs}));
    if (!find_replicas(device)) {
      replicas_.push_back(std::make_unique<ReplicaPool>(device, home, objective.dimension()));
    }
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i].stream = streams_[i % streams].get();
    workers_[i].replicas = find_replicas(workers_[i].stream->device());
  }
  show_pauses_to_devices();
  if (wall_ && wall_->completions == Completions::polling) wall_->events.poll_with([this] { poll(); });
}

/// Those in a device's memory, if they are made. All CPU devices have the same memory.
ReplicaPool* StreamExecutor::find_replicas(Device device) const {
  const auto found = std::ranges::find_if(replicas_, [&](const std::unique_ptr<ReplicaPool>& pool) {
    return device.backend == Backend::cpu || pool->device() == device;
  });
  return found == replicas_.end() ? nullptr : found->get();
}

void StreamExecutor::make_server(const Objective& objective, const Devices& devices, ServerMemory memory,
                                 const ServerOptions& options) {
  if (devices.replicated) return make_replicated_server(objective, devices, options);
  const std::size_t dimension = objective.dimension();
  server_streams_.emplace_back(devices.server, "server", Priority::high);
  if (devices.server_shards == 1) {
    server_ =
        std::make_unique<Server>(server_streams_.front(), dimension, objective.workers(), memory, options);
    return;
  }
  for (std::size_t i = 0; i < devices.server_shards; ++i) {
    server_streams_.emplace_back(devices.of_shard(i), fmt::format("server's shard {}", i), Priority::high);
  }
  const std::vector<StreamRef> streams(server_streams_.begin() + 1, server_streams_.end());
  server_ = std::make_unique<ShardedServer>(server_streams_.front(), streams, dimension, objective.workers(),
                                            memory, options);
}

void StreamExecutor::make_replicated_server(const Objective& objective, const Devices& devices,
                                            const ServerOptions& options) {
  for (const Device device : devices.in_use(workers_.size())) {
    server_streams_.emplace_back(device, "server of " + device.name(), Priority::high);
  }
  const std::vector<StreamRef> streams(server_streams_.begin(), server_streams_.end());
  server_ = std::make_unique<ReplicatedServer>(streams, make_collectives(streams), objective.dimension(),
                                               objective.workers(), options);
}

StreamExecutor::~StreamExecutor() {
  StreamExecutor::drain({});
  if (pauses_) wall_->throttle->stopwatch.show_pauses(nullptr);
}

void StreamExecutor::show_pauses_to_devices() {
  const Device device = server_streams_.front().device();
  if (device.backend == Backend::cpu || !wall_ || !wall_->throttle) return;
  pauses_.emplace(device, 1);
  wall_->throttle->pauses = pauses_->data();
  wall_->throttle->stopwatch.show_pauses(pauses_->data());
}

/// Finds out where the models of hand-overs go.
void StreamExecutor::place_jobs(const Orders& orders) {
  targets_.clear();
  for (const Orders::OfJob& order : orders.of_jobs()) {
    if (order.kind == Orders::OfJob::Kind::discard) {
      discard(order.worker);
      continue;
    }
    WorkerJobs& worker = state(order.worker);
    bool fresh = false;
    Replica& replica = worker.replicas->take(order.job.version, fresh);
    targets_.push_back(fresh ? &replica : nullptr);
    worker.models.push({order.job.number, &replica});
  }
}

void StreamExecutor::carry_out(const Orders& orders, double lr) {
  apply_planned();
  place_jobs(orders);
  const ArrivalActions all{orders.for_server(), lr, targets_, nullptr};
  apply({&all, 1}, orders.version());
  start(orders.starts());
}

void StreamExecutor::apply(std::span<const ArrivalActions> arrivals, std::uint64_t version) {
  const ProfilerRange range("update", version);
  try {
    server_->apply_all(arrivals);
  } catch (const DeviceError& error) {
    for (const Stream& stream : server_streams_) {
      if (stream.device() != error.device()) continue;
      const std::string known = told_by(stream, error);
      if (known != error.what()) throw DeviceError(error.device(), known);
    }
    throw;
  }
}

void StreamExecutor::arrive(int index, const Job&, Orders& orders, double lr) {
  WorkerJobs& worker = state(index);
  if (!wall_) {
    while (worker.stream->full()) collect_loss();
    if (gathered_.writes(*worker.models.front().replica)) apply_planned();
    start(index);
  }
  GradientStream::Job& job = wall_ ? worker.stream->oldest() : worker.stream->latest();
  release_oldest(worker);
  // In wall time the host has seen that it is complete: whatever is enqueued now comes after it.
  const ArrivedGradient gradient{job.gradient.ref(), wall_ ? nullptr : &job.complete, nullptr, &job.taken};
  computing_s_ = job.computing_s();
  uncollected_.push(worker.stream);
  place_jobs(orders);
  if (!wall_) {
    gathered_.add(orders, lr, gradient, targets_);
    if (gathered_.size() >= most_gathered_) apply_planned();
    return;
  }
  const ArrivalActions all{orders.for_server(), lr, targets_, &gradient};
  apply({&all, 1}, orders.version());
  collect_loss();  // the gradient is there already, and the stream free for its next job
  start(orders.starts());
}

void StreamExecutor::apply_planned() {
  if (gathered_.size() > 0) apply(gathered_.take(), gathered_.version());
}

/// Asked before the server's stream meets a failure, which ends with the worker thus.
bool StreamExecutor::is_healthy(int index) {
  WorkerJobs& worker = state(index);
  if (!wall_) return true;
  if (worker.failed) return false;
  try {
    worker.stream->oldest().complete.synchronize();
    return true;
  } catch (const DeviceError& error) {
    fail(index, error);
    return false;
  }
}

bool StreamExecutor::has_ended(int index) {
  try {
    return state(index).stream->oldest().complete.complete();
  } catch (const DeviceError& error) {
    fail(index, error);
    return true;
  }
}

std::string StreamExecutor::describe_failure(int index, const DeviceError& error) const {
  const WorkerJobs& worker = state(index);
  std::string how = told_by(worker.stream->stream(), error);
  if (worker.models.empty()) return how;
  return fmt::format("job {} of worker {} is lost: {}", worker.models.front().job, index, how);
}

/// In wall time the worker is to be lost, and with it all others of its device if it was the device that
/// failed; in virtual time the run.
void StreamExecutor::fail(int index, const DeviceError& error) {
  std::string what = describe_failure(index, error);
  if (!wall_) throw DeviceError(error.device(), what);
  WorkerJobs& worker = state(index);
  if (std::exchange(worker.failed, true)) return;
  failures_.push({index, std::move(what)});
}

std::optional<Executor::Failure> StreamExecutor::next_failure() {
  if (failures_.empty()) return std::nullopt;
  check_server();  // whose failures its workers meet, too
  check_workers();
  return failures_.pop();
}

void StreamExecutor::release(const WorkerJobs& worker, Replica& replica) {
  replica_snapshot_.save(replica, *server_);
  worker.replicas->release(replica);
}

/// Whatever writes the job's replica next is ordered behind the gradient.
void StreamExecutor::release_oldest(WorkerJobs& worker) { release(worker, *worker.models.pop().replica); }

/// The one of that device, on which events of replicas are recorded.
StreamRef StreamExecutor::server_stream(Device device) const {
  for (const Stream& stream : server_streams_) {
    if (stream.device() == device) return stream;
  }
  return server_streams_.front();
}

std::vector<std::uint64_t> StreamExecutor::begin_snapshot(Snapshot& snapshot) {
  for (const WorkerJobs& worker : workers_) {
    worker.models.for_each([this](const ModelOfJob& model) { replica_snapshot_.add(*model.replica); });
  }
  return replica_snapshot_.begin(snapshot);
}

void StreamExecutor::restore_jobs(std::span<const std::vector<Job>> jobs, VectorFile& vectors,
                                  std::span<const std::uint64_t> models) {
  for (const auto& pool : replicas_) {
    std::set<std::uint64_t> versions;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].replicas != pool.get()) continue;
      for (const Job& job : jobs[i]) versions.insert(job.version);
    }
    if (versions.empty()) continue;
    const auto replicas = pool->restore(vectors, server_stream(pool->server()), versions, models);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].replicas != pool.get()) continue;
      for (const Job& job : jobs[i]) {
        workers_[i].models.push({job.number, &ReplicaPool::share(*replicas.at(job.version))});
      }
    }
  }
}

/// In virtual time a job is enqueued when it arrives.
void StreamExecutor::start(const std::vector<int>& workers) {
  if (!wall_) return;
  for (const int worker : workers) {
    if (!state(worker).failed) start(worker);
  }
}

void StreamExecutor::start(int index) {
  WorkerJobs& worker = state(index);
  const Throttle* throttle = wall_ && wall_->throttle ? &*wall_->throttle : nullptr;
  std::function<void()> on_complete;
  if (wall_ && wall_->completions == Completions::polling) {
    polled_.push_back(index);
  } else if (wall_) {
    on_complete = [&events = wall_->events, index] { events.gradient_complete(index); };
  }
  try {
    const auto [job, replica] = worker.models.front();
    worker.stream->start(index, job, *replica, throttle, std::move(on_complete));
  } catch (const DeviceError& error) {
    fail(index, error);
  }
}

/// In wall time the job is cancelled where it can be, and heard of once more; the stream and the replica are
/// its own until then.
void StreamExecutor::discard(int index) {
  WorkerJobs& worker = state(index);
  if (!wall_) return release_oldest(worker);
  if (!worker.failed) worker.stream->oldest().cancel();
}

/// A job on a stream stays there until its end, or for good where the stream failed.
void StreamExecutor::lose(int index, bool computes) {
  WorkerJobs& worker = state(index);
  const bool one_goes_on = wall_ && computes && !worker.failed;
  if (one_goes_on) worker.stream->oldest().cancel();
  while (worker.models.size() > (one_goes_on ? 1 : 0)) release(worker, *worker.models.pop_back().replica);
}

void StreamExecutor::retire_discarded(int index) {
  if (!wall_) return;  // it was over at once
  WorkerJobs& worker = state(index);
  worker.stream->retire();
  release_oldest(worker);
}

/// In the order of the list, in which a worker that was found comes last again.
void StreamExecutor::poll() {
  const auto complete = [this](int index) {
    if (state(index).failed) return true;
    if (!has_ended(index)) return false;
    if (!state(index).failed) wall_->events.gradient_complete(index);
    return true;
  };
  if (std::erase_if(polled_, complete) == 0) std::this_thread::yield();
}

/// Waits for the oldest arrival that was not waited for yet.
void StreamExecutor::collect_loss() {
  // The memory of a gradient is the next one's as soon as its loss is known.
  if (gathered_.size() == uncollected_.size()) apply_planned();
  GradientStream& stream = *uncollected_.pop();
  const GradientStream::Job& job = stream.oldest();
  try {
    if (!wall_) job.complete.synchronize();
  } catch (const DeviceError& error) {
    throw DeviceError(error.device(), told_by(stream.stream(), error));
  }
  losses_.push(*job.loss.data());
  stream.retire();
}

float StreamExecutor::collect() {
  if (losses_.empty()) collect_loss();
  return losses_.pop();
}

void StreamExecutor::check() {
  check_server();
  check_workers();
}

void StreamExecutor::check_server() const {
  for (const Stream& stream : server_streams_) stream.ref().check();
  server_->check();
}

void StreamExecutor::check_workers() {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    const StreamRef stream = streams_[i]->stream();
    try {
      stream.check();
    } catch (const DeviceError& error) {
      if (!wall_) throw;
      fail(static_cast<int>(i), error);  // each worker has a stream of its own
    }
  }
}

bool StreamExecutor::drain(const DrainTimeout& timeout) noexcept {
  for (const auto& stream : streams_) stream->begin_drain();
  bool all_over = true;
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (wall_ && timeout) {
      all_over = ends_within(*streams_[i], began, timeout(static_cast<int>(i))) && all_over;
    } else {
      streams_[i]->drain();
    }
  }
  for (const Stream& stream : server_streams_) stream.ref().drain();
  return all_over;
}

}  // namespace tardigrad
