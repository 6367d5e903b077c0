#include "runtime/execution/streams/virtual_stream_executor.h"

#include <fmt/format.h>

#include <algorithm>

namespace tardigrad {
namespace {

StreamLayout layout_of(const Objective& objective, const Devices& devices, const JobOptions& job) {
  return {static_cast<std::size_t>(objective.workers()), devices.workers.size(), false,
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
  std::vector<std::size_t> of_stream;
  for (std::size_t i = 0; i < layout().streams; ++i) {
    const Device device = devices.of_worker(i);
    streams_.push_back(
        std::make_unique<JobGroups>(objective, device,
                                    JobGroups::Options{.name = fmt::format("workers {}", i),
                                                       .server = home_of(device, devices),
                                                       .job = job,
                                                       .workers = layout().workers_of(i),
                                                       .group = layout().group,
                                                       .groups_ahead = layout().groups_ahead}));
    const auto shared = std::ranges::find_if(
        turns_, [&](const Streams& streams) { return in_groups && streams.now().device() == device; });
    of_stream.push_back(static_cast<std::size_t>(shared - turns_.begin()));
    if (shared == turns_.end()) turns_.emplace_back();
    turns_[of_stream.back()].all.push_back(streams_.back().get());
  }
  for (std::size_t i = 0; i < workers(); ++i) of_worker_.push_back(of_stream[i % of_stream.size()]);
}

void VirtualStreamExecutor::arrive(int worker, const Job&, Orders& orders, double lr) {
  Streams& streams = streams_of(worker);
  if (gathered_.writes(*models_of(worker).front().replica) || streams.now().group_is_full()) apply_planned();
  while (streams.now().busy()) collect_loss();
  const auto [number, replica] = models_of(worker).front();
  JobGroups& groups = streams.now();
  const ArrivedGradient gradient = groups.add(worker, number, *replica);
  if (layout().group == 1) groups.start();
  release_oldest(worker);
  uncollected_.push(&groups);
  gathered_.add(orders, lr, gradient, place_jobs(orders));
  if (gathered_.size() >= most_gathered_) apply_planned();
}

void VirtualStreamExecutor::start(Streams& streams) {
  if (!streams.now().has_added()) return;
  streams.now().start();
  streams.next();
}

void VirtualStreamExecutor::apply_planned() {
  if (gathered_.size() == 0) return;
  try {
    for (Streams& streams : turns_) start(streams);
  } catch (const DeviceError&) {
    gathered_.take();  // their gradients will never be there
    throw;
  }
  apply(gathered_.take(), gathered_.version());
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
  for (const auto& groups : streams_) groups->stream().drain();
  drain_server();
  return true;
}

}  // namespace tardigrad
