#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/execution/execution.h"
#include "tests/support/experiment.h"

namespace tardigrad::testing {

/// What happened in a run on fakes, a line each, in order. "0.2" is job 2 of worker 0, "@5" at version 5.
using Happened = std::vector<std::string>;

/// Events that a test writes down beforehand, as those of wall time: each comes one unit after the one
/// before. Behind the last one a stop is requested.
class FakeEvents final : public EventSource {
 public:
  explicit FakeEvents(Happened& happened) : happened_(happened) {}

  /// A job of the worker ends; the script loses it, or has it back.
  void end_of_job(int worker) { add(Event{worker, Kind::end_of_job, written_until_ + 1}); }
  void lost(int worker) { add(Event{worker, Kind::lost, written_until_ + 1}); }
  void back(int worker) { add(Event{worker, Kind::back, written_until_ + 1}); }
  /// Nothing comes for so long.
  void nothing(double duration) {
    written_until_ += duration;
    script_.push_back({std::nullopt, written_until_});
  }

  std::stop_token stop() const { return stop_.get_token(); }

  double now() const override { return now_; }
  void start_job(int worker, std::uint64_t job) override {
    happened_.push_back(fmt::format("begins {}.{}", worker, job));
  }
  void discard(int) override {}
  bool lets_discarded_jobs_end() const override { return true; }
  bool knows_ends() const override { return false; }
  bool expects_changes() const override { return false; }
  std::string reason() const override { return "as the test says"; }
  std::optional<Event> next(double, const std::stop_token&) override {
    if (script_.empty()) {
      stop_.request_stop();
      return std::nullopt;
    }
    const auto [event, time] = script_.front();
    script_.pop_front();
    now_ = time;
    return event;
  }

 private:
  void add(const Event& event) {
    written_until_ = event.time;
    script_.push_back({event, event.time});
  }

  Happened& happened_;
  std::deque<std::pair<std::optional<Event>, double>> script_;
  double written_until_ = 0;
  double now_ = 0;
  std::stop_source stop_;
};

/// Keeps a model of zeros, and counts steps.
class FakeServer final : public ParameterServer {
 public:
  explicit FakeServer(Happened& happened) : happened_(happened) {}
  void set_model(std::span<const float>) override {}
  void apply(const Actions& actions, double, std::span<Replica* const>, const ArrivedGradient*) override {
    for (const Action& action : actions) {
      if (std::holds_alternative<Step>(action)) happened_.push_back(fmt::format("step to {}", ++version_));
    }
  }
  void read_model(std::span<float> values) override { std::ranges::fill(values, 0.0F); }
  std::optional<double> largest_drift() override { return std::nullopt; }
  std::uint64_t version() const override { return version_; }
  void begin_snapshot(Snapshot&) override {}
  std::size_t save_more(std::size_t) override { return 0; }
  void save_replica(Snapshot&, const Replica&, Snapshot::Place) override {}
  void restore(VectorSource&, std::uint64_t version, Restored) override { version_ = version; }

 private:
  Happened& happened_;
  std::uint64_t version_ = 0;
};

/// Computes nothing: writes down what it is ordered to do.
class FakeExecutor final : public Executor {
 public:
  explicit FakeExecutor(Happened& happened) : happened_(happened), server_(happened) {}

  std::size_t ahead = 1;         // its capacity
  std::deque<float> losses;      // of the next arrivals; 0 where there are no more
  std::deque<Failure> failures;  // told at the next occasion
  std::set<int> ended;           // workers whose job has ended, though nobody has heard of it
  std::set<int> unhealthy;       // workers whose job was not computed
  bool drains = true;

  ParameterServer& server() override { return server_; }
  void carry_out(const Orders& orders, double lr) override { follow(orders, lr); }
  void arrive(int worker, const Job& job, Orders& orders, double lr) override {
    happened_.push_back(fmt::format("arrives {}.{}", worker, job.number));
    follow(orders, lr);
  }
  std::size_t capacity() const override { return ahead; }
  float collect() override {
    if (losses.empty()) return 0;
    const float loss = losses.front();
    losses.pop_front();
    return loss;
  }
  void retire_discarded(int worker) override { happened_.push_back(fmt::format("retires {}", worker)); }
  void lose(int worker, bool computes) override {
    happened_.push_back(fmt::format("loses {}{}", worker, computes ? ", whose job goes on" : ""));
  }
  std::optional<Failure> next_failure() override {
    if (failures.empty()) return std::nullopt;
    std::optional<Failure> failure = failures.front();
    failures.pop_front();
    return failure;
  }
  bool is_healthy(int worker) override { return !unhealthy.contains(worker); }
  bool has_ended(int worker) override { return ended.contains(worker); }
  std::vector<std::uint64_t> begin_snapshot(Snapshot&) override { return {}; }
  std::size_t save_more(std::size_t) override { return 0; }
  void restore_jobs(std::span<const std::vector<Job>>, VectorFile&, std::span<const std::uint64_t>) override {
  }
  Device device(int) const override { return {}; }
  bool drain(const DrainTimeout&) noexcept override { return drains; }

 private:
  void follow(const Orders& orders, double lr) {
    for (const Orders::OfJob& order : orders.of_jobs()) {
      const bool handed_over = order.kind == Orders::OfJob::Kind::hand_over;
      happened_.push_back(fmt::format("{} {}.{}@{}", handed_over ? "hands over" : "cancels", order.worker,
                                      order.job.number, order.job.version));
    }
    server_.apply(orders.for_server(), lr, {}, nullptr);
    for (const int worker : orders.starts()) happened_.push_back(fmt::format("starts {}", worker));
  }

  Happened& happened_;
  FakeServer server_;
};

/// A run of a method on fakes. Write down the events, then go().
struct FakeRun {
  FakeRun(int workers, const std::string& name, const MethodOptions& method_options = {})
      : objective(workers), delays(Delays::parse("measured", workers, 0)) {
    MethodOptions with_workers = method_options;
    with_workers.workers = workers;
    method = make_method(name, with_workers);
    options.lr = 1;
    execution.stopwatch = std::make_unique<Stopwatch>();
    auto fake_events = std::make_unique<FakeEvents>(happened);
    auto fake_executor = std::make_unique<FakeExecutor>(happened);
    events = fake_events.get();
    executor = fake_executor.get();
    execution.events = std::move(fake_events);
    execution.executor = std::move(fake_executor);
  }

  /// Workers hang whose job takes longer than that.
  void time_out_after(double time) { execution.health.emplace(delays, speeds, 1, objective.workers(), time); }

  RunSummary go() {
    std::vector<RunObserver*> all = observers;
    all.insert(all.begin(), &recorder);
    coordinator = std::make_unique<Coordinator>(objective, *method, std::move(execution), options, all);
    return coordinator->run(model, events->stop());
  }

  /// What has happened behind the first line that is `line`.
  Happened after(const std::string& line) const {
    const auto found = std::ranges::find(happened, line);
    return found == happened.end() ? Happened{"never: " + line} : Happened(found + 1, happened.end());
  }

  Happened happened;
  Pull objective;
  Delays delays;
  EventScript speeds;
  std::unique_ptr<Method> method;
  RunOptions options;
  Execution execution;
  FakeEvents* events = nullptr;
  FakeExecutor* executor = nullptr;
  std::vector<RunObserver*> observers;
  Recorder recorder;
  std::vector<float> model = std::vector<float>(Pull::dimension);
  std::unique_ptr<Coordinator> coordinator;
};

}  // namespace tardigrad::testing
