#include "runtime/ranks/rank_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "runtime/execution/stream_layout.h"
#include "runtime/ranks/backoff.h"

namespace tardigrad {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

RankWorker::RankWorker(Transport& transport, Objective& objective, const std::vector<int>& workers,
                       const std::vector<Device>& devices, const JobOptions& job,
                       const std::optional<KeptModel>& kept, std::size_t shards)
    : transport_(transport),
      dimension_(objective.dimension()),
      shards_(cut_into_shards(dimension_, shards)),
      device_(devices.front()),
      lane_of_worker_(static_cast<std::size_t>(objective.workers())) {
  if (kept) server_.emplace(transport, *kept, dimension_, objective.workers());
  const std::size_t lanes = lanes_of_rank(workers.size(), devices);
  const bool on_cpu = device_.backend == Backend::cpu;
  if (!on_cpu && !kept && transport.takes_gpu_memory()) gpu_.emplace(device_, "models and gradients");
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    std::vector<int> there;
    for (std::size_t i = lane; i < workers.size(); i += lanes) there.push_back(workers[i]);
    for (const int worker : there) lane_of_worker_[static_cast<std::size_t>(worker)] = lane;
    const std::string name = fmt::format("workers {}", lane);
    Stream stream = lanes == 1 && on_cpu ? Stream::immediate(device_, name)
                                         : Stream(devices[lane % devices.size()], name);
    lanes_.push_back(std::make_unique<Lane>(objective, std::move(stream), job, there));
    if (!on_cpu) lanes_.back()->on_gpu.emplace(lanes_.back()->stream, dimension_);
    spare_.push_back(std::make_unique<Result>(device_, server_device()));
  }
}

RankWorker::~RankWorker() = default;

bool RankWorker::serve() {
  Backoff backoff;
  order_transfer_ = transport_.receive(0, tag_order, &order_, sizeof(order_));
  while (!ended_ || !sent_.empty()) backoff.after(look());
  return all_leave_;
}

/// Returns whether there was anything to do.
bool RankWorker::look() {
  bool any = take_orders();
  for (const auto& lane : lanes_) any = advance(*lane) || any;
  any = settle_sent() || any;
  if (!any && server_) server_->check();
  return any;
}

/// All that have come, before a job is begun: some of them may leave jobs out. What comes behind a step waits
/// for it.
bool RankWorker::take_orders() {
  bool any = false;
  while (!ended_ && !(server_ && server_->busy()) && transport_.done(*order_transfer_)) {
    any = true;
    take(order_);
    if (!ended_) order_transfer_ = transport_.receive(0, tag_order, &order_, sizeof(order_));
  }
  return any;
}

void RankWorker::take(const RankOrder& order) {
  using Kind = RankOrder::Kind;
  switch (order.kind) {
    case Kind::start:
      return take_job(order);
    case Kind::cancel:
      for (Waiting& one : lane_of(order.worker).waiting) {
        if (one.order.worker == order.worker && one.order.job == order.job) one.left_out = true;
      }
      return;
    case Kind::end:
      ended_ = true;
      all_leave_ = order.number == 0;
      return;
    case Kind::share:
      shared_ = SharedVectors::accept(transport_, dimension_);
      return;
    case Kind::join:
      return server_.value().join();
    case Kind::part:
      return server_.value().part(order.number != 0);
    case Kind::set_state:
      return server_.value().receive_state(order.job);
    case Kind::add_to_sum: {
      std::unique_ptr<Result> result = take_kept(order);
      server_.value().add_to_sum(static_cast<float>(order.number), result->gradient.value().ref(),
                                 result->taken);
      spare_.push_back(std::move(result));
      return;
    }
    case Kind::drop:
      spare_.push_back(take_kept(order));
      return;
    case Kind::scale_sum:
      return server_.value().scale_sum(order.number);
    case Kind::step:
      return server_.value().begin_step(order.number);
  }
}

void RankWorker::take_job(const RankOrder& order) {
  lane_of(order.worker).waiting.push_back({order, false});
  if (order.model == RankOrder::Model::shared) return;
  while (models_.size() <= order.slot) models_.emplace_back(make_vector(), server_device());
  Model& model = models_[order.slot];
  if (order.model == RankOrder::Model::own) server_.value().hand_over(model.replica);
  if (order.model == RankOrder::Model::follows) {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      model.arriving.push_back(transport_.receive(static_cast<int>(i), tag_model,
                                                  model.replica.model.data() + shards_[i].begin,
                                                  shards_[i].size * sizeof(float)));
    }
  }
}

bool RankWorker::is_there(const RankOrder& order) {
  if (order.model == RankOrder::Model::shared) return true;
  Model& model = models_[order.slot];
  transport_.take_out_done(model.arriving);
  return model.arriving.empty();
}

BufferRef<const float> RankWorker::model_of(const RankOrder& order) {
  if (order.model == RankOrder::Model::shared) return shared_.value().at(order.slot);
  return models_[order.slot].replica.model;
}

BufferRef<float> RankWorker::gradient_of(const RankOrder& order, Result& result) {
  if (order.gradient >= 0) return shared_.value().at(static_cast<std::uint32_t>(order.gradient));
  if (!result.gradient) result.gradient.emplace(make_vector());
  return result.gradient->ref();
}

RankVector RankWorker::make_vector() const {
  if (gpu_) return {*gpu_, dimension_};
  if (server_device().backend == Backend::cuda) return {server_->stream(), dimension_};
  return {device_, dimension_};
}

/// Returns whether there was anything to do.
bool RankWorker::advance(Lane& lane) {
  bool any = false;
  if (lane.current && lane.is_over()) {
    finish(lane);
    any = true;
  }
  // A job that is left out has its model, too: the slot is written anew when rank 0 has heard of its end.
  while (!lane.current && !lane.waiting.empty() && is_there(lane.waiting.front().order)) {
    if (lane.waiting.front().left_out) {
      leave_out(lane.waiting.front().order);
      lane.waiting.pop_front();
    } else {
      begin(lane);
    }
    any = true;
  }
  return any;
}

/// A GPU that has failed notifies nobody.
bool RankWorker::Lane::is_over() const {
  if (over.load(std::memory_order_acquire)) return true;
  if (!on_gpu) return false;
  try {
    stream.ref().check();
    return false;
  } catch (const DeviceError&) {
    return true;
  }
}

void RankWorker::begin(Lane& lane) {
  const RankOrder order = lane.waiting.front().order;
  lane.waiting.pop_front();
  lane.current = order;
  lane.result = take_result();
  lane.over.store(false, std::memory_order_relaxed);
  const auto end = [&lane] { lane.over.store(true, std::memory_order_release); };
  try {
    enqueue(lane, order);
  } catch (const DeviceError& error) {
    lane.result->failure = error.what();
  }
  try {
    lane.stream.ref().notify(end);
  } catch (const DeviceError&) {  // finish() says of what
    end();
  }
}

void RankWorker::enqueue(Lane& lane, const RankOrder& order) {
  Result& result = *lane.result;
  const StreamRef stream = lane.stream;
  if (std::exchange(lane.gathered, std::nullopt) != order.job) {
    lane.jobs.enqueue_minibatch(order.worker, order.job);
  }
  const BufferRef<const float> model = model_of(order);
  const BufferRef<float> gradient = gradient_of(order, result);
  if (server_device().backend == Backend::cuda) {  // a GPU's server writes and reads in an order of its own
    stream.wait(models_[order.slot].replica.written);
    stream.wait(result.taken);
  }
  if (lane.on_gpu) stream.copy(lane.on_gpu->model.ref(), model);
  stream.host("begin", [&result] { result.began_s = seconds_now(); });
  lane.jobs.enqueue_gradient(order.worker, order.job, lane.on_gpu ? lane.on_gpu->model.ref() : model,
                             lane.on_gpu ? lane.on_gpu->gradient.ref() : gradient, result.loss.data());
  stream.host("end", [&result] { result.answer.computing_s = seconds_now() - result.began_s; });
  if (lane.on_gpu) stream.copy(gradient, lane.on_gpu->gradient.ref());
}

/// The job is over: answers, and gathers the next minibatch meanwhile.
void RankWorker::finish(Lane& lane) {
  const RankOrder order = *std::exchange(lane.current, std::nullopt);
  Result& result = *lane.result;
  try {
    lane.stream.ref().check();
  } catch (const DeviceError& error) {
    result.failure = error.what();
  }
  RankAnswer& answer = result.answer;
  answer.worker = order.worker;
  answer.job = order.job;
  if (lane.on_gpu) answer.gpu = lane.stream.ref().device().index;
  const void* payload = nullptr;
  if (result.failure.empty()) {
    answer.kind = RankAnswer::Kind::gradient;
    answer.loss = *result.loss.data();
    const bool is_sent = !server_ && order.gradient < 0;
    if (is_sent) {
      payload = result.gradient.value().ref().data();
      answer.payload_bytes = shards_.front().size * sizeof(float);
      send_to_shards(result);
    }
  } else {
    answer.kind = RankAnswer::Kind::failed;
    answer.payload_bytes = result.failure.size();
    payload = result.failure.data();
  }
  const bool failed = !result.failure.empty();
  send(std::move(lane.result), payload);
  if (!lane.has_one_worker || failed) return;
  try {
    lane.jobs.enqueue_minibatch(order.worker, order.job + 1);
    lane.gathered = order.job + 1;
  } catch (const DeviceError&) {  // the job will fail likewise, and say so
  }
}

/// All parts but that of rank 0, which comes behind the answer.
void RankWorker::send_to_shards(Result& result) {
  result.header = {.kind = ShardOrder::Kind::gradient,
                   .rank = transport_.rank(),
                   .worker = result.answer.worker,
                   .number = result.answer.job};
  for (std::size_t i = 1; i < shards_.size(); ++i) {
    const int rank = static_cast<int>(i);
    result.transfers.push_back(transport_.send(rank, tag_order, &result.header, sizeof(result.header)));
    result.transfers.push_back(transport_.send(rank, tag_payload,
                                               result.gradient.value().ref().data() + shards_[i].begin,
                                               shards_[i].size * sizeof(float)));
  }
}

void RankWorker::leave_out(const RankOrder& order) {
  std::unique_ptr<Result> result = take_result();
  result->answer.kind = RankAnswer::Kind::left_out;
  result->answer.worker = order.worker;
  result->answer.job = order.job;
  send(std::move(result), nullptr);
}

void RankWorker::send(std::unique_ptr<Result> result, const void* payload) {
  RankAnswer& answer = result->answer;
  answer.rank = transport_.rank();
  result->transfers.push_back(transport_.send(0, tag_answer, &answer, sizeof(answer)));
  if (answer.payload_bytes > 0) {
    result->transfers.push_back(transport_.send(0, tag_payload, payload, answer.payload_bytes));
  }
  sent_.push_back(std::move(result));
}

/// Returns whether any of the answers has been sent by now.
bool RankWorker::settle_sent() {
  bool any = false;
  for (auto& result : sent_) {
    transport_.take_out_done(result->transfers);
    if (!result->transfers.empty()) continue;
    const bool stays = server_ && result->answer.kind == RankAnswer::Kind::gradient;
    (stays ? kept_ : spare_).push_back(std::move(result));
    any = true;
  }
  std::erase(sent_, nullptr);
  return any;
}

std::unique_ptr<RankWorker::Result> RankWorker::take_result() {
  if (spare_.empty()) return std::make_unique<Result>(device_, server_device());
  std::unique_ptr<Result> result = std::move(spare_.back());
  spare_.pop_back();
  result->answer = {};
  result->failure.clear();
  return result;
}

/// Rank 0 has its answer by now, whether or not this rank knows that it has been sent.
std::unique_ptr<RankWorker::Result> RankWorker::take_kept(const RankOrder& order) {
  while (true) {
    const auto found = std::ranges::find_if(kept_, [&order](const std::unique_ptr<Result>& one) {
      return one->answer.worker == order.worker && one->answer.job == order.job;
    });
    if (found != kept_.end()) {
      std::unique_ptr<Result> result = std::move(*found);
      kept_.erase(found);
      return result;
    }
    settle_sent();
  }
}

}  // namespace tardigrad
