#include "runtime/ranks/workers/rank_worker.h"

#include <algorithm>
#include <utility>

#include "runtime/ranks/backoff.h"

namespace tardigrad {
RankWorker::RankWorker(Transport& transport, Objective& objective, const std::vector<int>& workers,
                       const std::vector<Device>& devices, const JobOptions& job,
                       const std::optional<KeptModel>& kept, std::size_t shards)
    : transport_(transport),
      dimension_(objective.dimension()),
      shards_(cut_into_shards(dimension_, shards)),
      device_(devices.front()),
      lanes_(*this, objective, workers, devices, job, true) {
  if (kept) server_.emplace(transport, *kept, dimension_, objective.workers());
  const bool on_gpu = device_.backend == Backend::cuda;
  if (on_gpu && !kept && transport.takes_gpu_memory()) gpu_.emplace(device_, "models and gradients");
}

RankWorker::~RankWorker() = default;

bool RankWorker::serve() {
  Backoff backoff;
  order_transfer_ = transport_.receive(0, tag_order, &order_, sizeof(order_));
  while (!ended_ || (all_leave_ && !sent_.empty())) backoff.after(look());
  return all_leave_;
}

/// Returns whether there was anything to do.
bool RankWorker::look() {
  bool any = take_orders();
  any = lanes_.look() || any;
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
      return lanes_.leave_out(order.worker, order.job);
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
  lanes_.add(order);
  if (order.model == RankOrder::Model::shared) return;
  while (models_.size() <= order.slot) models_.emplace_back(make_vector(), server_device());
  Model& model = models_[order.slot];
  if (order.model == RankOrder::Model::own) server_.value().hand_over(model.replica);
  if (order.model == RankOrder::Model::follows) {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      const std::size_t end = shards_[i].begin + shards_[i].size;
      const std::size_t most = i == 0 && order.part > 0 ? order.part : shards_[i].size;
      for (std::size_t begin = shards_[i].begin; begin < end; begin += most) {
        model.arriving.push_back(transport_.receive(static_cast<int>(i), tag_model,
                                                    model.replica.model.data() + begin,
                                                    std::min(most, end - begin) * sizeof(float)));
      }
    }
  }
}

bool RankWorker::is_ready(const RankOrder& job) {
  if (job.model == RankOrder::Model::shared) return true;
  Model& model = models_[job.slot];
  transport_.take_out_done(model.arriving);
  return model.arriving.empty();
}

RankLanes::Place RankWorker::begin(const RankOrder& job) {
  Result& result = *computed_.emplace_back(take_unused());
  result.answer.worker = job.worker;
  result.answer.job = job.job;
  result.in_place = job.gradient >= 0;
  const bool shared_model = job.model == RankOrder::Model::shared;
  if (job.gradient < 0 && !result.gradient) result.gradient.emplace(make_vector());
  RankLanes::Place place{
      .model = shared_model ? shared_.value().at(job.slot) : models_[job.slot].replica.model,
      .gradient = job.gradient < 0 ? result.gradient->ref()
                                   : shared_.value().at(static_cast<std::uint32_t>(job.gradient))};
  if (server_device().backend == Backend::cuda) {  // it writes and reads in an order of its own
    place.written = &models_[job.slot].replica.written;
    place.taken = &result.taken;
  }
  return place;
}

RankVector RankWorker::make_vector() const {
  if (gpu_) return {*gpu_, dimension_};
  if (server_device().backend == Backend::cuda) return {server_->stream(), dimension_};
  return {device_, dimension_};
}

void RankWorker::end(const RankAnswer& answer, const std::string& failure) {
  std::unique_ptr<Result> result = take_out(computed_, answer.worker, answer.job);
  if (!result) result = take_unused();  // it had not begun
  result->answer = answer;
  result->answer.rank = transport_.rank();
  result->failure = failure;
  const void* payload = nullptr;
  if (answer.kind == RankAnswer::Kind::failed) {
    result->answer.payload_bytes = failure.size();
    payload = result->failure.data();
  } else if (answer.kind == RankAnswer::Kind::gradient && !server_ && !result->in_place) {
    result->answer.payload_bytes = shards_.front().size * sizeof(float);
    payload = result->gradient.value().ref().data();
    send_to_shards(*result);
  }
  result->transfers.push_back(transport_.send(0, tag_answer, &result->answer, sizeof(RankAnswer)));
  if (result->answer.payload_bytes > 0) {
    result->transfers.push_back(transport_.send(0, tag_payload, payload, result->answer.payload_bytes));
  }
  sent_.push_back(std::move(result));
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

std::unique_ptr<RankWorker::Result> RankWorker::take_unused() {
  if (spare_.empty()) return std::make_unique<Result>(server_device());
  std::unique_ptr<Result> result = std::move(spare_.back());
  spare_.pop_back();
  return result;
}

/// Rank 0 has its answer by now, whether or not this rank knows that it has been sent.
std::unique_ptr<RankWorker::Result> RankWorker::take_kept(const RankOrder& order) {
  while (true) {
    if (auto result = take_out(kept_, order.worker, order.job)) return result;
    settle_sent();
  }
}

/// Returns that of a job; null where there is none.
std::unique_ptr<RankWorker::Result> RankWorker::take_out(Results& results, int worker, std::uint64_t job) {
  const auto found = std::ranges::find_if(results, [&](const std::unique_ptr<Result>& one) {
    return one->answer.worker == worker && one->answer.job == job;
  });
  if (found == results.end()) return nullptr;
  std::unique_ptr<Result> result = std::move(*found);
  results.erase(found);
  return result;
}

}  // namespace tardigrad
