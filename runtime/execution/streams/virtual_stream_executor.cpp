#include "runtime/execution/streams/virtual_stream_executor.h"

#include <fmt/format.h>

#include <algorithm>

namespace tardigrad {
namespace {

StreamLayout layout_of(const Objective& objective, const Devices& devices, const JobOptions& job) {
  return {static_cast<std::size_t>(objective.workers()), devices, false,
          GradientJobs::at_once(objective, devices.workers.front().backend, job)};
}

}  // namespace

VirtualStreamExecutor::VirtualStreamExecutor(Objective& objective, const Devices& devices,
                                             ServerMemory memory, const ServerOptions& server,
                                             const JobOptions& job)
    : StreamExecutor(objective, devices, memory, server, layout_of(objective, devices, job)) {
  const bool in_groups = layout().group > 1;
  // With more, few workers would have too little to compute meanwhile.
  const std::size_t most = in_groups ? layout().group * devices.workers.size() : layout().streams;
  most_gathered_ = std::clamp<std::size_t>(workers() / 2, 1, most);
  for (std::size_t i = 0; i < layout().streams; ++i) {
    const Device device = layout().device_of(i);
    streams_.push_back(
        std::make_unique<JobGroups>(objective, device,
                                    JobGroups::Options{.name = fmt::format("workers {}", i),
                                                       .server = home_of(device, devices),
                                                       .job = job,
                                                       .workers = layout().workers_of(i),
                                                       .group = layout().group,
                                                       .groups_ahead = layout().groups_ahead}));
    const std::size_t turns = in_groups ? turns_of(device) : turns_.size();
    if (turns == turns_.size()) turns_.emplace_back();
    turns_[turns].all.push_back(streams_.back().get());
  }
  for (std::size_t i = 0; i < workers(); ++i) {
    of_worker_.push_back(in_groups ? turns_of(devices.of_worker(i)) : i % turns_.size());
  }
}

std::size_t VirtualStreamExecutor::turns_of(Device device) const {
  const auto has_device = [device](const Streams& streams) { return streams.now().device() == device; };
  return static_cast<std::size_t>(std::ranges::find_if(turns_, has_device) - turns_.begin());
}

void VirtualStreamExecutor::arrive(int worker, const Job&, Orders& orders, double lr) {
  Streams& streams = streams_of(worker);
  if (gathered_.writes(*models_of(worker).front().replica) || streams.now().group_is_full()) apply_planned();
  while (streams.now().busy()) collect_loss();
  const auto [number, replica] = models_of(worker).front();
  JobGroups& groups = streams.now();
  if (!groups.has_added()) streams.first_unstarted = gathered_.size();
  const ArrivedGradient gradient = groups.add(worker, number, *replica);
  if (layout().group == 1) start(streams);
  release_oldest(worker);
  uncollected_.push(&groups);
  gathered_.add(orders, lr, gradient, place_jobs(orders));
  if (gathered_.size() >= most_gathered_) apply_planned();
}

void VirtualStreamExecutor::start(Streams& streams) {
  if (!streams.now().has_added()) return;
  streams.now().start();
  streams.turn = (streams.turn + 1) % streams.all.size();
}

void VirtualStreamExecutor::apply_planned() {
  if (gathered_.size() == 0) return;
  for (Streams& streams : turns_) {
    try {
      start(streams);
    } catch (const DeviceError&) {
      forget_from(streams.first_unstarted);
      throw;
    }
  }
  apply(gathered_.take(), gathered_.version());
}

/// Forgets arrivals whose gradients will never be there, and those behind them: what is left may be applied.
void VirtualStreamExecutor::forget_from(std::size_t arrival) {
  for (Streams& streams : turns_) {
    if (!streams.now().has_added()) continue;
    arrival = std::min(arrival, streams.first_unstarted);
    streams.now().drop();
  }
  gathered_.keep_first(arrival);
}

/// Waits for the oldest arrival that was not waited for yet.
void VirtualStreamExecutor::collect_loss() {
  // The memory of a gradient is the next one's as soon as its loss is known.
  if (gathered_.size() == uncollected_.size()) apply_planned();
  losses_.push(uncollected_.pop()->collect());
}

float VirtualStreamExecutor::collect() {
  if (losses_.empty()) collect_loss();
  return losses_.pop();
}

void VirtualStreamExecutor::lose(int worker, bool /*computes*/) {
  while (!models_of(worker).empty()) release_latest(worker);
}

void VirtualStreamExecutor::check() {
  check_server();
  for (const auto& groups : streams_) groups->stream().check();
}

bool VirtualStreamExecutor::drain(const DrainTimeout& /*timeout*/) noexcept {
  for (const auto& groups : streams_) groups->cancel();
  for (const auto& groups : streams_) groups->stream().drain();
  drain_server();
  return true;
}

}  // namespace tardigrad
