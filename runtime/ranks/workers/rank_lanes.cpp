#include "runtime/ranks/workers/rank_lanes.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "runtime/execution/stream_layout.h"

namespace tardigrad {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

RankLanes::RankLanes(Owner& owner, Objective& objective, const std::vector<int>& workers,
                     const std::vector<Device>& devices, const JobOptions& job, bool by_caller)
    : owner_(owner), lane_of_worker_(static_cast<std::size_t>(objective.workers())) {
  const std::size_t lanes = lanes_of_rank(workers.size(), devices);
  const bool on_cpu = devices.front().backend == Backend::cpu;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    std::vector<int> there;
    for (std::size_t i = lane; i < workers.size(); i += lanes) there.push_back(workers[i]);
    for (const int worker : there) lane_of_worker_[static_cast<std::size_t>(worker)] = lane;
    const std::string name = fmt::format("workers {}", lane);
    Stream stream = by_caller && lanes == 1 && on_cpu ? Stream::immediate(devices.front(), name)
                                                      : Stream(devices[lane % devices.size()], name);
    lanes_.push_back(std::make_unique<Lane>(objective, std::move(stream), job, there));
    if (!on_cpu) lanes_.back()->on_gpu.emplace(lanes_.back()->stream, objective.dimension());
  }
}

void RankLanes::add(const RankOrder& job) { lane_of(job.worker).waiting.push_back({job, false}); }

void RankLanes::leave_out(int worker, std::uint64_t job) {
  for (Waiting& one : lane_of(worker).waiting) {
    if (one.order.worker == worker && one.order.job == job) one.left_out = true;
  }
}

bool RankLanes::look() {
  bool any = false;
  for (const auto& lane : lanes_) any = advance(*lane) || any;
  return any;
}

/// Returns whether there was anything to do.
bool RankLanes::advance(Lane& lane) {
  bool any = false;
  if (lane.current && lane.is_over()) {
    finish(lane);
    any = true;
  }
  // A job that is left out waits for its model, too: the memory for that is used anew when rank 0 has heard
  // of its end.
  while (!lane.current && !lane.waiting.empty() && owner_.is_ready(lane.waiting.front().order)) {
    const Waiting one = lane.waiting.front();
    lane.waiting.pop_front();
    any = true;
    if (one.left_out) {
      owner_.end({.kind = RankAnswer::Kind::left_out, .worker = one.order.worker, .job = one.order.job}, "");
    } else {
      lane.current = one.order;
      begin(lane);
    }
  }
  return any;
}

/// A GPU that has failed notifies nobody.
bool RankLanes::Lane::is_over() const {
  if (over.load(std::memory_order_acquire)) return true;
  if (!on_gpu) return false;
  try {
    stream.ref().check();
    return false;
  } catch (const DeviceError&) {
    return true;
  }
}

void RankLanes::begin(Lane& lane) {
  lane.failure.clear();
  lane.over.store(false, std::memory_order_relaxed);
  const auto end = [&lane] { lane.over.store(true, std::memory_order_release); };
  try {
    enqueue(lane);
  } catch (const DeviceError& error) {
    lane.failure = error.what();
  }
  try {
    lane.stream.ref().notify(end);
  } catch (const DeviceError&) {  // finish() says of what
    end();
  }
}

void RankLanes::enqueue(Lane& lane) {
  const RankOrder& order = *lane.current;
  const StreamRef stream = lane.stream;
  const Place place = owner_.begin(order);
  if (std::exchange(lane.gathered, std::nullopt) != order.job) {
    lane.jobs.enqueue_minibatch(order.worker, order.job);
  }
  if (place.written) stream.wait(*place.written);
  if (place.taken) stream.wait(*place.taken);
  if (lane.on_gpu) stream.copy(lane.on_gpu->model.ref(), place.model);
  stream.host("begin", [&lane] { lane.began_s = seconds_now(); });
  lane.jobs.enqueue_gradient(order.worker, order.job, lane.on_gpu ? lane.on_gpu->model.ref() : place.model,
                             lane.on_gpu ? lane.on_gpu->gradient.ref() : place.gradient, lane.loss.data());
  stream.host("end", [&lane] { lane.computing_s = seconds_now() - lane.began_s; });
  if (lane.on_gpu) stream.copy(place.gradient, lane.on_gpu->gradient.ref());
}

/// The job is over: its owner hears of it, and the next minibatch is gathered meanwhile.
void RankLanes::finish(Lane& lane) {
  const RankOrder order = *std::exchange(lane.current, std::nullopt);
  try {
    lane.stream.ref().check();
  } catch (const DeviceError& error) {
    lane.failure = error.what();
  }
  const bool failed = !lane.failure.empty();
  RankAnswer answer{.kind = failed ? RankAnswer::Kind::failed : RankAnswer::Kind::gradient,
                    .worker = order.worker,
                    .job = order.job};
  if (lane.on_gpu) answer.gpu = lane.stream.ref().device().index;
  if (!failed) {
    answer.loss = *lane.loss.data();
    answer.computing_s = lane.computing_s;
  }
  owner_.end(answer, lane.failure);
  if (!lane.has_one_worker || failed) return;
  try {
    lane.jobs.enqueue_minibatch(order.worker, order.job + 1);
    lane.gathered = order.job + 1;
  } catch (const DeviceError&) {  // the job will fail likewise, and say so
  }
}

}  // namespace tardigrad
