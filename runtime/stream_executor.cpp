#include "runtime/stream_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <thread>
#include <variant>

#include "runtime/replicated_server.h"
#include "runtime/stream_layout.h"

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

}  // namespace

StreamExecutor::StreamExecutor(Objective& objective, const Placement& placement, ServerMemory memory,
                               const ServerOptions& server, const JobOptions& job, std::optional<Wall> wall)
    : wall_(std::move(wall)), workers_(static_cast<std::size_t>(objective.workers())) {
  make_server(objective, placement, memory, server);
  const std::vector<Device>& devices = placement.workers;
  const StreamLayout layout(workers_.size(), devices.size(), wall_.has_value());
  const std::size_t streams = layout.streams;
  capacity_ = layout.jobs_ahead * streams;
  for (std::size_t i = 0; i < streams; ++i) {
    const Device device = devices[i % devices.size()];
    const Device home = placement.replicated ? device : placement.server;
    streams_.push_back(
        std::make_unique<Worker>(objective, device, fmt::format("{} {}", wall_ ? "worker" : "workers", i),
                                 home, job, static_cast<int>(layout.jobs_ahead), wall_ && wall_->time_jobs));
    // All CPU devices have the same memory.
    if (i == 0 || (device.backend == Backend::cuda && i < devices.size())) {
      replicas_.push_back(std::make_unique<ReplicaPool>(device, home, objective.dimension()));
    }
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i].stream = streams_[i % streams].get();
    workers_[i].replicas = replicas_[i % replicas_.size()].get();
  }
  show_pauses_to_devices();
}

void StreamExecutor::make_server(const Objective& objective, const Placement& placement, ServerMemory memory,
                                 const ServerOptions& options) {
  const std::size_t dimension = objective.dimension();
  if (!placement.replicated) {
    server_streams_.emplace_back(placement.server, "server", Priority::high);
    server_ =
        std::make_unique<Server>(server_streams_.front(), dimension, objective.workers(), memory, options);
    return;
  }
  for (const Device device : placement.in_use(workers_.size())) {
    server_streams_.emplace_back(device, "server of " + device.name(), Priority::high);
  }
  const std::vector<StreamRef> streams(server_streams_.begin(), server_streams_.end());
  server_ = std::make_unique<ReplicatedServer>(streams, make_collectives(streams), dimension,
                                               objective.workers(), options);
}

StreamExecutor::~StreamExecutor() {
  StreamExecutor::drain();
  if (pauses_) wall_->throttle->stopwatch.show_pauses(nullptr);
}

void StreamExecutor::show_pauses_to_devices() {
  const Device device = server_streams_.front().device();
  if (device.backend == Backend::cpu || !wall_ || !wall_->throttle) return;
  pauses_.emplace(device, 1);
  wall_->throttle->pauses = pauses_->data();
  wall_->throttle->stopwatch.show_pauses(pauses_->data());
}

/// Finds out where the models of hand-overs go, and makes their jobs.
void StreamExecutor::resolve(const Actions& actions) {
  resolved_.clear();
  for (const Action& action : actions) {
    if (std::holds_alternative<Step>(action)) {
      ++version_;
    } else if (const auto* hand_over = std::get_if<HandOver>(&action)) {
      WorkerJobs& worker = state(hand_over->worker);
      bool fresh = false;
      Replica& replica = worker.replicas->take(version_, fresh);
      resolved_.push_back(fresh ? &replica : nullptr);
      worker.jobs.push(&replica);
    } else if (const auto* thrown_away = std::get_if<Discard>(&action)) {
      discard(thrown_away->worker);
    }
  }
}

void StreamExecutor::act(const Actions& actions, double lr) {
  resolve(actions);
  apply(actions, lr, nullptr);
  start_handed_over(actions);
}

void StreamExecutor::apply(const Actions& actions, double lr, const ArrivedGradient* gradient) {
  const ProfilerRange range("update", version_);
  try {
    server_->apply(actions, lr, resolved_, gradient);
  } catch (const DeviceError& error) {
    const auto struck = std::find_if(server_streams_.begin(), server_streams_.end(),
                                     [&](const Stream& stream) { return stream.device() == error.device(); });
    if (struck == server_streams_.end()) throw;
    throw DeviceError(error.device(), told_by(struck->ref(), error));
  }
}

void StreamExecutor::arrive(int index, const Actions& actions, double lr) {
  WorkerJobs& worker = state(index);
  if (wall_) {
    if (wall_->completions == Completions::callback) require_complete(index);
  } else {
    while (worker.stream->full()) harvest();
    start(index);
  }
  Worker::Job& job = wall_ ? worker.stream->oldest() : worker.stream->latest();
  job_is_over(worker);
  resolve(actions);
  // In wall time the host has seen that it is complete: whatever is enqueued now comes after it.
  const ArrivedGradient gradient{job.gradient.ref(), wall_ ? nullptr : &job.complete, nullptr, &job.taken};
  apply(actions, lr, &gradient);
  computing_s_ = job.computing_s();
  unharvested_.push(worker.stream);
  if (!wall_) return;
  harvest();  // the gradient is there already, and the stream free for its next job
  start_if_waiting(index);
  start_handed_over(actions);
}

/// Before the server's stream meets a failure, so that the model can still be read.
void StreamExecutor::require_complete(int index) const {
  try {
    state(index).stream->oldest().complete.synchronize();
  } catch (const DeviceError& error) {
    raise_lost(index, error);
  }
}

void StreamExecutor::raise_lost(int index, const DeviceError& error) const {
  const WorkerJobs& worker = state(index);
  throw DeviceError(error.device(), fmt::format("job {} of worker {} is lost: {}", worker.first_job, index,
                                                told_by(worker.stream->stream(), error)));
}

/// Whatever writes the job's replica next is ordered behind the gradient.
void StreamExecutor::job_is_over(WorkerJobs& worker) {
  Replica& replica = *worker.jobs.pop();
  replica_snapshot_.save(replica, server_stream(replica.model.device()));
  worker.replicas->release(replica);
  ++worker.first_job;
  worker.computing = false;
}

/// The one that writes replicas in that device's memory.
StreamRef StreamExecutor::server_stream(Device device) const {
  for (const Stream& stream : server_streams_) {
    if (stream.device() == device) return stream;
  }
  return server_streams_.front();
}

std::vector<std::uint64_t> StreamExecutor::begin_snapshot(Snapshot& snapshot) {
  server_->begin_snapshot(snapshot);
  for (const WorkerJobs& worker : workers_) {
    worker.jobs.for_each([this](Replica* replica) {
      replica_snapshot_.add(*replica, server_stream(replica->model.device()));
    });
  }
  return replica_snapshot_.begin(snapshot);
}

std::size_t StreamExecutor::save_more(std::size_t vectors) {
  const std::size_t saved = replica_snapshot_.save_more(vectors);
  return saved + server_->save_more(vectors - saved);
}

void StreamExecutor::restore(VectorFile& vectors, std::uint64_t version, std::span<const JobsOfWorker> jobs,
                             std::span<const std::uint64_t> models, ModelOwner::Restored what) {
  server_->restore(vectors, version, what);
  version_ = version;
  for (const auto& pool : replicas_) {
    std::set<std::uint64_t> versions;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].replicas == pool.get())
        versions.insert(jobs[i].versions.begin(), jobs[i].versions.end());
    }
    if (versions.empty()) continue;
    const auto replicas = pool->restore(vectors, server_stream(pool->device()), versions, models);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].replicas != pool.get()) continue;
      for (const std::uint64_t job_version : jobs[i].versions) {
        workers_[i].jobs.push(&ReplicaPool::share(*replicas.at(job_version)));
      }
    }
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i].first_job = jobs[i].handed_over - jobs[i].versions.size();
    if (wall_) start_if_waiting(static_cast<int>(i));
  }
}

/// In wall time a job starts as soon as its worker computes no other.
void StreamExecutor::start_handed_over(const Actions& actions) {
  if (!wall_) return;
  for (const Action& action : actions) {
    if (const auto* hand_over = std::get_if<HandOver>(&action)) start_if_waiting(hand_over->worker);
  }
}

void StreamExecutor::start_if_waiting(int index) {
  const WorkerJobs& worker = state(index);
  if (!worker.computing && !worker.jobs.empty()) start(index);
}

void StreamExecutor::start(int index) {
  WorkerJobs& worker = state(index);
  worker.computing = true;
  const Throttle* throttle = wall_ && wall_->throttle ? &*wall_->throttle : nullptr;
  std::function<void()> on_complete;
  if (wall_ && wall_->completions == Completions::polling) {
    polled_.push_back(index);
  } else if (wall_) {
    on_complete = [this, index] { wall_->on_complete(index); };
  }
  try {
    worker.stream->start(index, worker.first_job, *worker.jobs.front(), throttle, std::move(on_complete));
  } catch (const DeviceError& error) {
    raise_lost(index, error);
  }
}

/// In wall time the job is ended early where it can be, and heard of once more; the stream and the replica
/// are its own until then.
void StreamExecutor::discard(int index) {
  WorkerJobs& worker = state(index);
  if (wall_) {
    Worker::Job& job = worker.stream->oldest();
    job.cut();
    if (job.endless) let_end(index, job);
  } else {
    job_is_over(worker);
  }
}

/// A job whose end was not to be heard of: that of its gradient is, which may still be computed.
void StreamExecutor::let_end(int index, Worker::Job& job) {
  job.endless = false;
  if (wall_->completions == Completions::polling) return;
  state(index).stream->stream().notify([this, index] { wall_->on_complete(index); });
}

void StreamExecutor::discarded_is_over(int index) {
  WorkerJobs& worker = state(index);
  worker.stream->over();
  job_is_over(worker);
  start_if_waiting(index);
}

/// In the order of the list, in which a worker that was found comes last again.
void StreamExecutor::poll() {
  const auto complete = [this](int index) {
    const Worker::Job& job = state(index).stream->oldest();
    try {
      if (job.endless || !job.complete.complete()) return false;
    } catch (const DeviceError& error) {
      raise_lost(index, error);
    }
    wall_->on_complete(index);
    return true;
  };
  if (std::erase_if(polled_, complete) == 0) std::this_thread::yield();
}

/// Waits for the oldest arrival that was not waited for yet.
void StreamExecutor::harvest() {
  Worker& stream = *unharvested_.pop();
  const Worker::Job& job = stream.oldest();
  try {
    if (!wall_) job.complete.synchronize();
  } catch (const DeviceError& error) {
    throw DeviceError(error.device(), told_by(stream.stream(), error));
  }
  losses_.push(*job.loss.data());
  stream.over();
}

float StreamExecutor::collect() {
  if (losses_.empty()) harvest();
  return losses_.pop();
}

void StreamExecutor::check() const {
  for (const Stream& stream : server_streams_) stream.ref().check();
  server_->check();
  for (const auto& stream : streams_) stream->stream().check();
}

void StreamExecutor::drain() noexcept {
  for (const auto& stream : streams_) stream->drain();
  for (Stream& stream : server_streams_) stream.drain();
}

}  // namespace tardigrad
