#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "runtime/methods/method.h"

namespace tardigrad {

/// Names a job of a worker: the gradient of its `number`-th minibatch, counted from 0 in the order of its
/// hand-overs, at the model of `version`.
struct Job {
  std::uint64_t number = 0;
  std::uint64_t version = 0;
};

/// Says what an executor is to do about one event. Whoever writes it has read the method's actions once, has
/// numbered the jobs and knows which of them begin; nobody else has to.
class Orders {
 public:
  /// A job is handed over, or thrown away.
  struct OfJob {
    enum class Kind { hand_over, discard };
    Kind kind;
    int worker;
    Job job;
  };

  /// Begins new orders, for a model of that version.
  void begin(std::uint64_t version) {
    for_server_.clear();
    of_jobs_.clear();
    starts_.clear();
    version_before_ = version;
    version_ = version;
    reads_tables_ = false;
    each_arrival_.reset();
  }

  /// Adds what the server does by itself.
  void add(const Action& action) {
    for_server_.push_back(action);
    if (std::holds_alternative<Step>(action)) ++version_;
    const auto* count = std::get_if<CountRow>(&action);
    if (std::holds_alternative<AverageRows>(action) || std::holds_alternative<SwapTables>(action) ||
        (count && count->update_mean)) {
      reads_tables_ = true;
    }
  }

  /// Adds a job at the model as it is by now.
  void hand_over(int worker, const Job& job) {
    for_server_.emplace_back(HandOver{worker});
    of_jobs_.push_back({OfJob::Kind::hand_over, worker, job});
  }

  /// Adds that the oldest job of the worker, which is this one, is thrown away.
  void discard(int worker, const Job& job) { of_jobs_.push_back({OfJob::Kind::discard, worker, job}); }

  /// Adds what each arrival leads to from here on, where that is known.
  void set_each_arrival(const std::optional<EachArrival>& each) { each_arrival_ = each; }

  /// Adds that the worker begins the oldest job it has when all of this is done.
  void start(int worker) { starts_.push_back(worker); }

  /// Returns the actions for the server, in their order, with every hand-over in its place.
  const Actions& for_server() const { return for_server_; }

  /// Exchanges those for what is in `actions`, whose memory is used again.
  void take_for_server(Actions& actions) { for_server_.swap(actions); }

  /// Returns hand-overs and discards, in their order.
  const std::vector<OfJob>& of_jobs() const { return of_jobs_; }

  const std::vector<int>& starts() const { return starts_; }

  const std::optional<EachArrival>& each_arrival() const { return each_arrival_; }

  /// Return the version of the model behind all of this, and before it.
  std::uint64_t version() const { return version_; }
  std::uint64_t version_before() const { return version_before_; }

  /// Tells whether an action reads rows besides the gradient's own, or exchanges whole tables.
  bool reads_tables() const { return reads_tables_; }

 private:
  Actions for_server_;
  std::vector<OfJob> of_jobs_;
  std::vector<int> starts_;
  std::uint64_t version_before_ = 0;
  std::uint64_t version_ = 0;
  bool reads_tables_ = false;
  std::optional<EachArrival> each_arrival_;
};

}  // namespace tardigrad
