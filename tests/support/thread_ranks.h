#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "runtime/ranks/transport.h"

namespace tardigrad::testing {

/// Ranks that are threads of one process. What is sent is looked at when it is received, and may lie for as
/// long as that: who changes it too early is found out.
class ThreadRanks {
 public:
  /// Says whether a rank is on rank 0's machine.
  using Nearness = std::function<bool(int rank)>;

  explicit ThreadRanks(
      int size, Nearness near = [](int rank) { return rank % 2 == 1; })
      : near_(std::move(near)) {
    for (int rank = 0; rank < size; ++rank) ranks_.push_back(std::make_unique<Rank>(*this, rank));
  }

  /// Lets ranks send and receive what lies in the memory of emulated GPUs, which is that of the host.
  void take_gpu_memory() { takes_gpu_memory_ = true; }

  Transport& rank(int rank) { return *ranks_[static_cast<std::size_t>(rank)]; }

  /// Keeps what one rank sends to another on its way, until mend().
  void cut(int from, int to) {
    const std::lock_guard lock(mutex_);
    cut_ = {from, to};
  }

  void mend() {
    const std::lock_guard lock(mutex_);
    cut_.reset();
    for (const SharedMessage& sent : held_) carry(sent);
    held_.clear();
  }

 private:
  struct Message {
    int from;
    int to;
    int tag;
    const void* sent = nullptr;
    void* target = nullptr;
    std::size_t bytes;
    bool over = false;
  };
  using SharedMessage = std::shared_ptr<Message>;

  class Rank final : public Transport {
   public:
    Rank(ThreadRanks& job, int rank) : job_(job), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return static_cast<int>(job_.ranks_.size()); }
    int first_on_machine_of(int rank) const override { return job_.near_(rank) ? 0 : rank; }
    bool takes_gpu_memory() const override { return job_.takes_gpu_memory_; }

    Transfer send(int to, int tag, const void* data, std::size_t bytes) override {
      return remember(job_.send({.from = rank_, .to = to, .tag = tag, .sent = data, .bytes = bytes}));
    }
    Transfer receive(int from, int tag, void* data, std::size_t bytes) override {
      return remember(job_.receive({.from = from, .to = rank_, .tag = tag, .target = data, .bytes = bytes}));
    }
    Transfer all_reduce(const float* values, float* sum, std::size_t count) override {
      return remember(job_.all_reduce(reductions_++, {.from = rank_,
                                                      .to = rank_,
                                                      .tag = 0,
                                                      .sent = values,
                                                      .target = sum,
                                                      .bytes = count * sizeof(float)}));
    }
    bool done(Transfer transfer) override {
      const std::lock_guard lock(job_.mutex_);
      return transfers_.at(transfer)->over;
    }

    void cancel(Transfer receive) override {
      const std::lock_guard lock(job_.mutex_);
      std::erase(job_.awaited_, transfers_.at(receive));
    }

   private:
    Transfer remember(SharedMessage message) {
      transfers_.push_back(std::move(message));
      return static_cast<Transfer>(transfers_.size() - 1);
    }
    ThreadRanks& job_;
    int rank_;
    std::vector<SharedMessage> transfers_;
    std::size_t reductions_ = 0;  // begun
  };

  static bool fit(const Message& sent, const Message& awaited) {
    return sent.to == awaited.to && sent.tag == awaited.tag &&
           (awaited.from == Transport::any_rank || awaited.from == sent.from);
  }

  static void deliver(Message& sent, Message& awaited) {
    if (sent.bytes != awaited.bytes) throw std::logic_error("a message of another size than expected");
    if (sent.bytes > 0) std::memcpy(awaited.target, sent.sent, sent.bytes);
    sent.over = awaited.over = true;
  }

  SharedMessage send(const Message& message) {
    const std::lock_guard lock(mutex_);
    auto sent = std::make_shared<Message>(message);
    if (cut_ == std::pair(sent->from, sent->to)) {
      held_.push_back(sent);
    } else {
      carry(sent);
    }
    return sent;
  }

  /// Delivers a message to the first that waits for it, or else keeps it behind those that were sent before.
  void carry(const SharedMessage& sent) {
    for (auto awaited = awaited_.begin(); awaited != awaited_.end(); ++awaited) {
      if (!fit(*sent, **awaited)) continue;
      deliver(*sent, **awaited);
      awaited_.erase(awaited);
      return;
    }
    sent_.push_back(sent);
  }

  SharedMessage receive(const Message& message) {
    const std::lock_guard lock(mutex_);
    auto awaited = std::make_shared<Message>(message);
    for (auto sent = sent_.begin(); sent != sent_.end(); ++sent) {
      if (!fit(**sent, *awaited)) continue;
      deliver(**sent, *awaited);
      sent_.erase(sent);
      return awaited;
    }
    awaited_.push_back(awaited);
    return awaited;
  }

  /// Adds up when the last rank has come to its reduction of that number.
  SharedMessage all_reduce(std::size_t number, const Message& message) {
    const std::lock_guard lock(mutex_);
    auto here = std::make_shared<Message>(message);
    std::vector<SharedMessage>& all = reductions_[number];
    all.push_back(here);
    if (all.size() < ranks_.size()) return here;
    std::ranges::sort(all, {}, &Message::from);
    std::vector<float> sum(message.bytes / sizeof(float));
    for (const SharedMessage& one : all) {
      if (one->bytes != message.bytes) throw std::logic_error("a reduction of vectors of several sizes");
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<const float*>(one->sent)[i];
    }
    for (const SharedMessage& one : all) {
      std::memcpy(one->target, sum.data(), message.bytes);
      one->over = true;
    }
    reductions_.erase(number);
    return here;
  }

  Nearness near_;
  bool takes_gpu_memory_ = false;
  std::mutex mutex_;
  std::map<std::size_t, std::vector<SharedMessage>> reductions_;  // that have begun, by their numbers
  std::optional<std::pair<int, int>> cut_;
  std::deque<SharedMessage> held_;
  std::deque<SharedMessage> sent_;
  std::deque<SharedMessage> awaited_;
  std::vector<std::unique_ptr<Rank>> ranks_;
};

}  // namespace tardigrad::testing
