#include "runtime/execution/memory_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "kernels/mean_of_rows.h"
#include "kernels/square_sums.h"
#include "runtime/execution/lookahead_executor.h"
#include "runtime/execution/stream_layout.h"
#include "runtime/execution/streams/in_turn_executor.h"
#include "runtime/server/replica.h"
#include "runtime/server/shard.h"

namespace tardigrad {
namespace {

/// Gathers items by device and purpose.
class Planner {
 public:
  explicit Planner(const PlannedRun& run)
      : run_(run),
        vector_bytes_(run.dimension * sizeof(float)),
        workers_(static_cast<std::size_t>(run.workers)) {}

  MemoryPlan plan() {
    if (run_.rank) {
      plan_rank();
    } else {
      plan_process();
    }
    MemoryPlan plan;
    for (const auto& [key, bytes] : bytes_) plan.items.push_back({key.first, key.second, bytes});
    std::stable_sort(plan.items.begin(), plan.items.end(), [](const MemoryItem& a, const MemoryItem& b) {
      return std::pair(a.device, b.bytes) < std::pair(b.device, a.bytes);
    });
    return plan;
  }

 private:
  void plan_process() {
    if (run_.devices.replicated) {
      for (const Device device : run_.devices.in_use(workers_)) plan_server(device, run_.dimension);
    } else {
      plan_shards();
    }
    if (run_.lookahead) {
      plan_threads();
    } else {
      plan_streams();
    }
  }

  /// A rank that keeps the model, or a shard of it, has a gradient of each worker at the most, and two of
  /// those that it receives or computes which the server reads. Another has its models in slots, of which a
  /// worker's job takes one, and gradients that are computed, and as many on their way, or all that in memory
  /// of rank 0. Where every rank keeps the model, gradients stay on the others until they are added up.
  void plan_rank() {
    const Device server = run_.server_of_rank;
    const Device device = run_.vectors_of_rank;
    const bool sends_parts = run_.replicated_on_ranks && server.backend == Backend::cpu;
    const std::vector<Shard> shards = cut_into_shards(run_.dimension, run_.devices.server_shards);
    const auto rank = static_cast<std::size_t>(*run_.rank);
    if (rank < shards.size()) {
      plan_shared_data(device);
      constexpr std::size_t being_read = 2;
      const std::size_t here = shards[rank].size;
      plan_server(server, here);
      if (rank == 0 && shards.size() > 1) plan_clipping(device, run_.dimension);
      if (sends_parts) add(device, "part of the sum of all ranks", vector_bytes_);
      const std::size_t own = run_.workers_on_rank.size();
      const std::size_t gradients = run_.replicated_on_ranks ? own : workers_;
      const bool has_others = gradients > (run_.replicated_on_ranks ? 0 : run_.workers_sharing);
      add(device, "gradients", (gradients + (has_others ? being_read : 0)) * here * sizeof(float));
      plan_replicas(device, workers_, here);
      if (own > 0) plan_lanes(device);
      return;
    }
    const std::vector<int>& here = run_.workers_on_rank;
    plan_lanes({});
    const std::size_t lanes = lanes_of_rank(here.size(), run_.devices.workers);
    if (run_.replicated_on_ranks) {
      plan_server(server, run_.dimension);
      if (sends_parts) add(device, "part of the sum of all ranks", vector_bytes_);
    }
    if (run_.shares_with_rank_0) return;
    add(device, "gradients", (run_.replicated_on_ranks ? lanes + here.size() : 2 * lanes) * vector_bytes_);
    add(device, "models handed over", (here.size() + 1) * vector_bytes_);
  }

  /// What RankLanes has. The data that workers share are on `has_data` already, if that is given.
  void plan_lanes(std::optional<Device> has_data) {
    const std::vector<int>& workers = run_.workers_on_rank;
    const std::vector<Device>& devices = run_.devices.workers;
    const bool on_gpus = devices.front().backend == Backend::cuda;
    const std::size_t lanes = lanes_of_rank(workers.size(), devices);
    const std::size_t memories = on_gpus ? std::min(lanes, devices.size()) : 1;
    for (std::size_t i = 0; i < memories; ++i) {
      if (devices[i] != has_data) plan_shared_data(devices[i]);
    }
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const Device of_lane = devices[lane % devices.size()];
      std::vector<int> on_lane;
      for (std::size_t i = lane; i < workers.size(); i += lanes) on_lane.push_back(workers[i]);
      plan_engine(of_lane, on_lane);
      if (on_gpus) add(of_lane, "a model and a gradient of each worker", 2 * vector_bytes_);
    }
  }

  void add(Device device, const char* what, std::size_t bytes) {
    const Device owner = device.backend == Backend::cpu ? Device{} : device;
    if (bytes > 0) bytes_[{owner, what}] += bytes;
  }

  /// Where a step is clipped, several shards meet at the first.
  void plan_shards() {
    const std::vector<Shard> shards = cut_into_shards(run_.dimension, run_.devices.server_shards);
    for (std::size_t i = 0; i < shards.size(); ++i) plan_server(run_.devices.of_shard(i), shards[i].size);
    if (shards.size() > 1) plan_clipping(run_.devices.server, run_.dimension);
  }

  void plan_clipping(Device device, std::size_t dimension) {
    if (!run_.server.clip_norm) return;
    add(device, "sums for clipping", SquareSums::chunks(dimension) * sizeof(double) + sizeof(float));
  }

  /// A server, or a shard of it, of so many elements.
  void plan_server(Device device, std::size_t dimension) {
    const std::size_t vector = dimension * sizeof(float);
    add(device, "model", vector);
    if (run_.memory.mean) add(device, "mean", vector);
    if (run_.memory.corrected) add(device, "corrected mean", vector);
    if (run_.server.momentum != 0) add(device, "momentum", vector);
    if (run_.server.optimizer == Optimizer::adamw) add(device, "moments of AdamW", 2 * vector);
    plan_clipping(device, dimension);
    if (run_.server.resum_every) {
      add(device, "sums of the drift", 2 * MeanOfRows::chunks(dimension) * sizeof(double));
    }
    const bool narrow = run_.server.table_type == TableType::bf16;
    const std::size_t row = vector_stride(dimension);
    const std::size_t address = device.backend == Backend::cuda ? sizeof(float*) : 0;
    const auto tables = static_cast<std::size_t>(run_.memory.tables);
    add(device, narrow ? "gradient table (bf16)" : "gradient table (f32)",
        tables * workers_ * (row * (narrow ? sizeof(Bf16) : sizeof(float)) + address));
    add(device, "rows kept for corrections",
        static_cast<std::size_t>(run_.memory.kept_rows) * (row * sizeof(float) + address));
    const bool takes_gradients = !run_.devices.replicated && !run_.rank;
    if (device.backend == Backend::cuda && takes_gradients && copies_gradients(device)) {
      add(device, "copy of another GPU's gradient", vector);
    }
  }

  bool copies_gradients(Device server) const {
    return std::ranges::any_of(run_.devices.in_use(workers_), [&](Device device) {
      if (device.backend == Backend::cpu || device == server) return false;
      const auto route = run_.server.routes.find({server, device});
      return route == run_.server.routes.end() || route->second == GradientRoute::copy;
    });
  }

  void plan_streams() {
    const std::vector<Device> devices = run_.devices.in_use(workers_);
    const StreamLayout layout(workers_, run_.devices, run_.wall, run_.at_once);
    for (std::size_t stream = 0; stream < layout.streams; ++stream) {
      const Device device = layout.device_of(stream);
      const std::size_t gradients = run_.in_turn ? InTurnExecutor::slots : layout.gradients();
      add(device, "gradients", gradients * vector_bytes_);
      plan_engine(device, layout.workers_of(stream));
    }
    for (const Device device : devices) {
      if (device.backend == Backend::cpu && device != devices.front()) continue;
      plan_shared_data(device);
      if (device.backend == Backend::cuda) plan_replicas(device, run_.devices.workers_on(device, workers_));
    }
    if (devices.front().backend == Backend::cpu) plan_replicas(devices.front(), workers_);
  }

  void plan_threads() {
    const std::vector<Device>& devices = run_.devices.workers;
    const std::size_t gradients = LookaheadExecutor::arrivals_ahead(devices.size());
    add(devices.front(), "gradients", gradients * vector_stride(run_.dimension) * sizeof(float));
    plan_shared_data(devices.front());
    for (std::size_t i = 0; i < devices.size(); ++i) plan_engine(devices.front(), {});
    plan_replicas(devices.front(), workers_);
  }

  void plan_shared_data(Device device) {
    add(device, "data that all workers share", run_.engine(device, {}).shared_bytes);
  }

  void plan_engine(Device device, std::span<const int> workers) {
    add(device, "scratch of gradients", run_.engine(device, workers).engine_bytes);
    if (run_.job.local_steps > 1) add(device, "local steps", 2 * vector_bytes_);
  }

  void plan_replicas(Device device, std::size_t workers_there) {
    plan_replicas(device, workers_there, run_.dimension);
  }

  void plan_replicas(Device device, std::size_t workers_there, std::size_t dimension) {
    const std::size_t jobs = run_.memory.jobs == JobSpread::anywhere ? workers_ : workers_there;
    const std::size_t models = run_.memory.jobs == JobSpread::rounds ? 1 : jobs + 1;
    add(device, "models handed over", ReplicaPool::bytes(dimension, models));
  }

  const PlannedRun& run_;
  std::size_t vector_bytes_;
  std::size_t workers_;
  std::map<std::pair<Device, std::string>, std::size_t> bytes_;
};

/// For what is not in the plan: code of kernels, workspaces of the libraries, pages that are not full.
std::size_t margin(std::size_t free_bytes) { return std::min(std::size_t{512} << 20, free_bytes / 8); }

std::vector<Device> too_small(const MemoryPlan& plan, const FreeMemory& free) {
  std::vector<Device> devices = plan.devices();
  std::erase_if(devices, [&](Device device) {
    const std::size_t free_bytes = free(device);
    return plan.total(device) <= free_bytes - margin(free_bytes);
  });
  return devices;
}

bool fits(const PlannedRun& run, const FreeMemory& free) { return too_small(plan_memory(run), free).empty(); }

std::size_t most_on_a_device(const PlannedRun& run) {
  const MemoryPlan plan = plan_memory(run);
  std::size_t most = 0;
  for (const Device device : plan.devices()) most = std::max(most, plan.total(device));
  return most;
}

/// The most workers that fit, fewer than those of the run; nothing if not even one does.
std::optional<int> workers_that_fit(PlannedRun run, const FreeMemory& free) {
  int fit = 0;
  int too_many = run.workers;
  while (too_many - fit > 1) {
    run.workers = fit + (too_many - fit) / 2;
    (fits(run, free) ? fit : too_many) = run.workers;
  }
  return fit > 0 ? std::optional(fit) : std::nullopt;
}

std::optional<Device> server_that_fits(PlannedRun run, const FreeMemory& free) {
  if (run.devices.server.backend == Backend::cpu || run.devices.replicated) return std::nullopt;
  if (run.devices.server_shards > 1) return std::nullopt;  // they lie on all GPUs
  for (int i = cuda_device_count() - 1; i >= 0; --i) {     // the last are the likeliest to carry no workers
    run.devices.server = {Backend::cuda, i};
    if (fits(run, free)) return run.devices.server;
  }
  return std::nullopt;
}

/// The fewest shards that fit, a GPU each at the most.
std::optional<std::size_t> shards_that_fit(PlannedRun run, const FreeMemory& free) {
  if (run.devices.server.backend == Backend::cpu || run.devices.replicated) return std::nullopt;
  const std::size_t most = std::min(run.devices.workers.size(), most_shards(run.dimension));
  for (std::size_t shards = run.devices.server_shards + 1; shards <= most; ++shards) {
    run.devices.server_shards = shards;
    if (fits(run, free)) return shards;
  }
  return std::nullopt;
}

/// Each found by planning the run anew with it.
std::vector<std::string> what_would_fit(const PlannedRun& run, const FreeMemory& free) {
  std::vector<std::string> ways;
  const auto try_both = [&](const PlannedRun& changed, const std::string& with) {
    if (const auto server = server_that_fits(changed, free)) {
      ways.push_back(fmt::format("{}--server-device {}", with, server->name()));
    }
    const auto workers = changed.fixed_workers ? std::nullopt : workers_that_fit(changed, free);
    if (workers) ways.push_back(fmt::format("{}--workers {} or fewer", with, *workers));
  };
  PlannedRun narrow = run;
  narrow.server.table_type = TableType::bf16;
  const bool can_be_narrow = run.memory.tables > 0 && run.server.table_type == TableType::f32;
  if (can_be_narrow && fits(narrow, free)) {
    ways.push_back(fmt::format("--table-dtype bf16, which needs {}", format_bytes(most_on_a_device(narrow))));
  }
  try_both(run, "");
  if (const auto shards = shards_that_fit(run, free)) {
    ways.push_back(fmt::format("--server-shards {}", *shards));
  }
  if (ways.empty() && can_be_narrow) try_both(narrow, "--table-dtype bf16 with ");
  return ways;
}

std::string list_items(const MemoryPlan& plan, Device device) {
  std::string lines;
  for (const MemoryItem& item : plan.items) {
    if (item.device == device) {
      lines += fmt::format("\n  {:<8} {:>10}  {}", device.name(), format_bytes(item.bytes), item.what);
    }
  }
  return lines;
}

}  // namespace

std::vector<Device> MemoryPlan::devices() const {
  std::vector<Device> devices;
  for (const MemoryItem& item : items) {
    if (devices.empty() || devices.back() != item.device) devices.push_back(item.device);
  }
  return devices;
}

std::size_t MemoryPlan::total(Device device) const {
  std::size_t bytes = 0;
  for (const MemoryItem& item : items) bytes += item.device == device ? item.bytes : 0;
  return bytes;
}

MemoryPlan plan_memory(const PlannedRun& run) { return Planner(run).plan(); }

void require_memory(const PlannedRun& run, const FreeMemory& free) {
  const MemoryPlan plan = plan_memory(run);
  const std::vector<Device> devices = too_small(plan, free);
  if (devices.empty()) return;
  std::string message = "the run does not fit into memory";
  for (const Device device : devices) {
    const std::size_t free_bytes = free(device);
    message += fmt::format("; {} has {} free, {} of them kept as a margin, and it needs {}", device.name(),
                           format_bytes(free_bytes), format_bytes(margin(free_bytes)),
                           format_bytes(plan.total(device)));
  }
  for (const Device device : devices) message += list_items(plan, device);
  const std::vector<std::string> ways = what_would_fit(run, free);
  message += ways.empty()
                 ? "\nneither fewer workers nor another server device, table or shards would make it fit"
                 : fmt::format("\nwhat would fit: {}", fmt::join(ways, "; "));
  throw std::invalid_argument(message);
}

std::string show_memory(const MemoryPlan& plan, const FreeMemory& free) {
  std::string text;
  for (const Device device : plan.devices()) {
    text += fmt::format("{}{}: {} of {} free", text.empty() ? "" : "\n", device.name(),
                        format_bytes(plan.total(device)), format_bytes(free(device)));
    text += list_items(plan, device);
  }
  return text;
}

std::string show_memory_of_ranks(std::span<const MemoryPlan> plans) {
  const auto describe = [](const MemoryPlan& plan) {
    const std::vector<Device> devices = plan.devices();
    if (devices.empty()) return format_bytes(0);
    std::string totals;
    std::string items;
    for (const Device device : devices) {
      totals += fmt::format("{}{}{}", totals.empty() ? "" : ", ", format_bytes(plan.total(device)),
                            devices.size() > 1 ? " of " + device.name() : "");
      items += list_items(plan, device);
    }
    return totals + items;
  };
  std::string all;
  for (std::size_t first = 0, next = 0; first < plans.size(); first = next) {
    const std::string text = describe(plans[first]);
    while (next < plans.size() && describe(plans[next]) == text) ++next;
    const std::string who = next == first + 1 ? fmt::format("rank {}", first)
                                              : fmt::format("ranks {} to {}, each", first, next - 1);
    all += fmt::format("{}{}: {}", all.empty() ? "" : "\n", who, text);
  }
  return all;
}

std::string format_bytes(std::size_t bytes) {
  const auto count = static_cast<double>(bytes);
  if (bytes >= std::size_t{1} << 40) {
    return fmt::format("{:.1f} TiB", count / static_cast<double>(std::size_t{1} << 40));
  }
  if (bytes >= std::size_t{1} << 30) return fmt::format("{:.1f} GiB", count / (1 << 30));
  if (bytes >= std::size_t{1} << 20) return fmt::format("{:.1f} MiB", count / (1 << 20));
  if (bytes >= std::size_t{1} << 10) return fmt::format("{:.1f} KiB", count / (1 << 10));
  return fmt::format("{} B", bytes);
}

}  // namespace tardigrad
