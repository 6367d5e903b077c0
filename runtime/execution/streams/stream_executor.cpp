#include "runtime/execution/streams/stream_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "runtime/server/replicated_server.h"
#include "runtime/server/sharded_server.h"

namespace tardigrad {

StreamExecutor::StreamExecutor(const Objective& objective, const Devices& devices, ServerMemory memory,
                               const ServerOptions& server, const StreamLayout& layout)
    : layout_(layout), workers_(static_cast<std::size_t>(objective.workers())) {
  make_server(objective, devices, memory, server);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const Device device = devices.of_worker(i);
    if (!find_replicas(device)) {
      replicas_.push_back(
          std::make_unique<ReplicaPool>(device, home_of(device, devices), objective.dimension()));
    }
    workers_[i].replicas = find_replicas(device);
  }
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

std::vector<Replica*>& StreamExecutor::place_jobs(const Orders& orders) {
  targets_.clear();
  for (const Orders::OfJob& order : orders.of_jobs()) {
    if (order.kind == Orders::OfJob::Kind::discard) {
      discard(order.worker);
      continue;
    }
    bool fresh = false;
    Replica& replica = place_model(order.worker, order.job.version, fresh);
    targets_.push_back(fresh ? &replica : nullptr);
    models_of(order.worker).push({order.job.number, &replica});
  }
  return targets_;
}

void StreamExecutor::carry_out(const Orders& orders, double lr) {
  apply_planned();
  const ArrivalActions all{orders.for_server(), lr, place_jobs(orders), nullptr};
  apply({&all, 1}, orders.version());
  begin(orders.starts());
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

void StreamExecutor::release(int index, Replica& replica) {
  replica_snapshot_.save(replica, *server_);
  workers_[static_cast<std::size_t>(index)].replicas->release(replica);
}

/// The one of that device, on which events of replicas are recorded.
StreamRef StreamExecutor::server_stream(Device device) const {
  for (const Stream& stream : server_streams_) {
    if (stream.device() == device) return stream;
  }
  return server_streams_.front();
}

std::vector<std::uint64_t> StreamExecutor::begin_snapshot(Snapshot& snapshot) {
  for (const WorkerModels& worker : workers_) {
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

void StreamExecutor::check_server() const {
  for (const Stream& stream : server_streams_) stream.ref().check();
  server_->check();
}

void StreamExecutor::drain_server() const noexcept {
  for (const Stream& stream : server_streams_) stream.ref().drain();
}

}  // namespace tardigrad
