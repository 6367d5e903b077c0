#include "runtime/ranks/rank_mail.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "runtime/device/stream_of_caller.h"
#include "runtime/ranks/backoff.h"

namespace tardigrad {

RankMail::RankMail(Transport& transport, std::size_t dimension, Device server, Device vectors,
                   Device copied_by, Listener listener)
    : transport_(transport),
      dimension_(dimension),
      copied_by_(copied_by),
      listener_(std::move(listener)),
      memory_(stream_of_caller(vectors, "gradients of other ranks")),
      landings_(server, [this] { return make_vector(); }) {}

void RankMail::order(int rank, const RankOrder& order, Replica* model, const Landing* gradient) {
  std::unique_ptr<Outgoing> one;
  if (spare_.empty()) {
    one = std::make_unique<Outgoing>();
  } else {
    one = std::move(spare_.back());
    spare_.pop_back();
  }
  one->rank = rank;
  one->order = order;
  one->model = model;
  one->gradient = gradient;
  one->parts_sent = 0;
  if (one->brings_model()) one->order.part = static_cast<std::uint32_t>(model->part);
  outbox_.push_back(std::move(one));
  if (order.kind == RankOrder::Kind::start) {
    ++unanswered_;
    await_answer();
  }
  send_written();
}

bool RankMail::look() {
  const bool any_sent = send_written();
  const bool any_answered = take_answers();
  const bool any_complete = take_payloads();
  return settle_sent() || any_sent || any_answered || any_complete;
}

/// In their order: the server writes models and reads gradients in the same.
bool RankMail::send_written() {
  bool any = false;
  while (!outbox_.empty()) {
    Outgoing& one = *outbox_.front();
    if (one.transfers.empty()) {
      if (!one.is_ready()) break;
      one.transfers.push_back(transport_.send(one.rank, tag_order, &one.order, sizeof(one.order)));
    }
    while (one.parts_sent < one.parts() && is_past(one.written(one.parts_sent))) {
      send_part(one);
      any = true;
    }
    if (one.parts_sent < one.parts()) break;
    sent_.push_back(std::move(outbox_.front()));
    outbox_.pop_front();
    any = true;
  }
  return any;
}

void RankMail::send_part(Outgoing& one) {
  const bool is_last = one.parts_sent + 1 == one.parts();
  const std::size_t begin = one.parts_sent * one.model->part;
  const std::size_t size = is_last ? dimension_ - begin : one.model->part;
  one.transfers.push_back(
      transport_.send(one.rank, tag_model, one.model->model.data() + begin, size * sizeof(float)));
  ++one.parts_sent;
}

void RankMail::send_all() {
  constexpr std::chrono::seconds longest{1};
  const auto began = std::chrono::steady_clock::now();
  Backoff backoff;
  while (!(outbox_.empty() && sent_.empty()) && std::chrono::steady_clock::now() - began < longest) {
    backoff.after(look());
  }
}

bool RankMail::settle_sent() {
  bool any = false;
  for (auto& one : sent_) {
    transport_.take_out_done(one->transfers);
    if (!one->transfers.empty()) continue;
    if (one->brings_model()) listener_.on_sent(*one->model);
    spare_.push_back(std::move(one));
    any = true;
  }
  if (any) std::erase(sent_, nullptr);
  return any;
}

/// Nothing is received where nothing is awaited, so that nothing is left of it at the end.
void RankMail::await_answer() {
  if (unanswered_ == 0 || answer_transfer_) return;
  answer_transfer_ = transport_.receive(Transport::any_rank, tag_answer, &answer_, sizeof(answer_));
}

bool RankMail::take_answers() {
  bool any = false;
  while (has_answer_ || (answer_transfer_ && transport_.done(*answer_transfer_))) {
    has_answer_ = true;
    answer_transfer_.reset();
    const RankAnswer answer = answer_;
    const bool is_received = answer.kind == RankAnswer::Kind::gradient && answer.payload_bytes > 0;
    Landing* const landing = is_received ? &landings_.take() : nullptr;  // may throw: the answer stays
    has_answer_ = false;
    --unanswered_;
    await_answer();
    take(answer, landing);
    any = true;
  }
  return any;
}

void RankMail::take(const RankAnswer& answer, Landing* landing) {
  if (answer.payload_bytes == 0) return listener_.on_answer(answer, nullptr, "");
  Payload& payload = payloads_.emplace_back();
  payload.answer = answer;
  payload.landing = landing;
  if (!landing) payload.failure = std::make_unique<std::string>(answer.payload_bytes, '\0');
  void* const target = landing ? static_cast<void*>(landing->values) : payload.failure->data();
  payload.transfer = transport_.receive(answer.rank, tag_payload, target, answer.payload_bytes);
}

bool RankMail::take_payloads() {
  bool any = false;
  for (std::size_t i = 0; i < payloads_.size();) {
    if (!transport_.done(payloads_[i].transfer)) {
      ++i;
      continue;
    }
    const Payload payload = std::move(payloads_[i]);
    payloads_.erase(payloads_.begin() + static_cast<std::ptrdiff_t>(i));
    listener_.on_answer(payload.answer, payload.landing, payload.failure ? *payload.failure : "");
    any = true;
  }
  return any;
}

RankVector RankMail::make_vector() const {
  const bool is_pinned =
      memory_.ref().device().backend == Backend::cpu && copied_by_.backend == Backend::cuda;
  return is_pinned ? RankVector(copied_by_, dimension_) : RankVector(memory_, dimension_);
}

}  // namespace tardigrad
