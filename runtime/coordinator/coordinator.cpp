#include "runtime/coordinator/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <variant>

#include "runtime/device/profiler_range.h"
#include "runtime/events/replayed_events.h"
#include "runtime/events/virtual_events.h"
#include "runtime/events/wall_events.h"
#include "runtime/execution/lookahead_executor.h"
#include "runtime/execution/stream_executor.h"

namespace tardigrad {

Coordinator::Coordinator(Objective& objective, Method& method, const Delays& delays,
                         const EventScript& speeds, const Devices& devices, const RunOptions& options,
                         std::vector<RunObserver*> observers, Recording* replay)
    : objective_(objective),
      method_(method),
      options_(options),
      learning_rate_(options.lr, options.lr_schedule),
      observers_(std::move(observers)),
      states_(static_cast<std::size_t>(objective.workers())),
      host_model_(objective.dimension()) {
  if (!objective.runs_on(devices.workers.front().backend)) {
    throw std::invalid_argument(
        fmt::format("the objective does not run on {}", devices.workers.front().name()));
  }
  if (replay) {
    clock_ = std::make_unique<ReplayedEvents>(*replay, objective.workers());
  } else if (options.clock == ClockKind::virtual_time) {
    clock_ = std::make_unique<VirtualEvents>(delays, speeds, objective.workers());
  }
  executor_ = make_executor(delays, speeds, devices);
  if (!options_.checkpoints.folder.empty()) {
    checkpoints_ = std::make_unique<Checkpoints>(options_.checkpoints, objective.layout(), devices.server);
  }
}

/// For the clock that is there already, or else for wall time, whose clock the executor tells of arrivals.
std::unique_ptr<Executor> Coordinator::make_executor(const Delays& delays, const EventScript& speeds,
                                                     const Devices& devices) {
  if (clock_ && devices.workers.front().backend == Backend::cpu) {
    return std::make_unique<LookaheadExecutor>(objective_, devices.workers, method_.memory(), options_.server,
                                               options_.job);
  }
  std::optional<StreamExecutor::Wall> wall;
  WallEvents* polling = nullptr;
  if (!clock_) {
    auto clock = std::make_unique<WallEvents>(stopwatch_, speeds, options_.time_unit_s);
    health_.emplace(delays, speeds, options_.time_unit_s, objective_.workers(), options_.worker_timeout_s);
    wall.emplace();
    wall->time_jobs = options_.time_jobs;
    wall->on_complete = [told = clock.get()](int worker) { told->gradient_complete(worker); };
    if (!delays.measured() || speeds.any()) {
      wall->throttle.emplace(Throttle{delays, speeds, stopwatch_, options_.time_unit_s});
    }
    wall->completions = options_.completions
                            ? *options_.completions
                            : faster_completions(devices.workers.front(), objective_.workers());
    if (wall->completions == Completions::polling) polling = clock.get();
    clock_ = std::move(clock);
  }
  auto executor = std::make_unique<StreamExecutor>(objective_, devices, method_.memory(), options_.server,
                                                   options_.job, std::move(wall));
  if (polling) polling->poll_with([polled = executor.get()] { polled->poll(); });
  return executor;
}

RunSummary Coordinator::run(std::span<float> model, const std::stop_token& stop) {
  break_off_ = BreakOff(stop);
  if (!resumed_) std::copy(model.begin(), model.end(), host_model_.begin());
  const struct WindUp {  // however the run ends, behind what is saved of it
    Coordinator& run;
    ~WindUp() { run.wind_up(); }
  } at_the_end{*this};
  try {
    if (!resumed_) {
      executor_->set_model(host_model_);
      if (!evaluate()) throw StoppedEarlyError();
      begin();
    }
    train_and_end(model, stop);
  } catch (const DeviceError& error) {
    throw DeviceLostError(error, salvage(model));
  } catch (const WorkersLostError& lost) {
    checkpoint_the_end();
    throw WorkersLostError(lost.what(), salvage(model));
  } catch (const NotFiniteError&) {
    std::copy(host_model_.begin(), host_model_.end(), model.begin());
    throw;
  }
  RunSummary summary = summarise();
  for (RunObserver* observer : observers_) observer->on_summary(summary);
  return summary;
}

/// Leaves the newest model in `model`.
void Coordinator::train_and_end(std::span<float> model, const std::stop_token& stop) {
  stopwatch_.resume();
  train(stop);
  stopwatch_.pause();
  settle_all();
  checkpoint_the_end();
  read_newest(model);
  if (!stop.stop_requested()) {
    wind_up();
    if (latest_evaluation_->update == version_ || evaluate()) return;
  }
  end_stopped(model);
}

/// Soon; in time for whoever kills a program some seconds after asking it to end.
void Coordinator::end_stopped(std::span<float> model) {
  const auto began = BreakOff::Clock::now();
  const bool finite = std::ranges::all_of(model, [](float value) { return std::isfinite(value); });
  if (options_.save_first && finite) options_.save_first(model);
  const auto saving = BreakOff::Clock::now() - began;
  wind_up();
  break_off_ = BreakOff(BreakOff::Clock::now() + last_evaluation_takes_at_most - saving);
  if (latest_evaluation_->update != version_) evaluate();
}

/// Of all that has arrived.
void Coordinator::read_newest(std::span<float> model) {
  if (latest_evaluation_->update == version_) {
    std::ranges::copy(host_model_, model.begin());
  } else {
    executor_->read_model(model);
  }
}

/// Returns the update that the model saved is of.
std::uint64_t Coordinator::salvage(std::span<float> model) noexcept {
  try {
    std::vector<float> newest(model.size());
    executor_->read_model(newest);
    std::copy(newest.begin(), newest.end(), model.begin());
    return executor_->version();
  } catch (const std::exception&) {
    // The server's device is lost too; what the host has is that of the latest evaluation, or kept since.
    if (!latest_evaluation_) return 0;
    const bool kept = !kept_model_.empty() && kept_version_ > latest_evaluation_->update;
    std::ranges::copy(kept ? kept_model_ : host_model_, model.begin());
    return kept ? kept_version_ : latest_evaluation_->update;
  }
}

/// The method's first actions.
void Coordinator::begin() {
  if (options_.evaluate_every_time && next_evaluation_time_ == EventSource::never) {
    next_evaluation_time_ = *options_.evaluate_every_time;
  }
  stopwatch_.resume();
  actions_.clear();
  method_.start(actions_);
  const double lr = learning_rate(clock_->now());
  account(actions_, {}, 0, lr);
  executor_->act(actions_, lr);
}

void Coordinator::train(const std::stop_token& stop) {
  if (health_) take_out_failed();
  if (resumed_) evaluate_if_due();  // the run before may have broken it off
  while (!finished()) {
    const auto arrived = clock_->next(std::min(options_.time_limit, next_evaluation_time_), stop);
    if (arrived) {
      take(*arrived);
      if (health_) take_out_failed();
    } else if (stop.stop_requested()) {
      stop_reason_ = StopReason::interrupted;
      return;
    } else {
      check_progress();
    }
    evaluate_if_due();
    keep_model_if_due();
    check_table_if_due();
    checkpoint_if_due();
  }
}

void Coordinator::take(const EventSource::Event& arrived) {
  const ProfilerRange range("arrival", static_cast<std::uint64_t>(arrived.worker));
  if (arrived.kind != EventSource::Kind::end_of_job) return take_change(arrived);
  if (health_ && !is_sound(arrived.worker)) return;
  WorkerState& worker = state(arrived.worker);
  if (worker.discarding) return take_end_of_discarded(arrived);
  if (worker.jobs.empty()) throw std::logic_error("a gradient arrives of a worker that has no job");
  const Job job = worker.jobs.pop();
  clock_->check(job.number, job.version);
  const double compute_time = arrived.compute_time.value_or(arrived.time - worker.started_at);
  const std::uint64_t staleness = version_ - job.version;
  if (health_) health_->add(arrived.worker, worker.started_at, compute_time);
  worker.computing = false;
  worker.busy_time += compute_time;
  worker.staleness.add(staleness);
  ++gradients_;
  Pending taken{.gradient = {.job = {arrived.worker, job.number, job.version, arrived.time, compute_time},
                             .staleness = staleness,
                             .queue_time = clock_->now() - arrived.time,
                             .gradients = gradients_},
                .update = {},
                .discards = {}};
  for (RunObserver* observer : observers_) observer->on_arrival(taken.gradient.job);

  actions_.clear();
  method_.arrive({arrived.worker, job.version, staleness, compute_time}, actions_);
  while (pending_.size() >= executor_->capacity()) settle_oldest();
  const double lr = learning_rate(arrived.time);
  taken.update = account(actions_, arrived, staleness, lr);
  if (taken.update) taken.gradient.update = taken.update->update;
  taken.discards.swap(discards_);
  start_if_waiting(arrived.worker);
  executor_->arrive(arrived.worker, actions_, lr);
  if (const auto computing_s = executor_->computing_s()) {
    taken.gradient.hand_over_time = std::max(0.0, compute_time - *computing_s);
  }
  worker.hand_over_time += taken.gradient.hand_over_time;
  worker.queue_time += taken.gradient.queue_time;
  pending_.push(std::move(taken));
}

/// The worker is free for the jobs that it was to begin meanwhile, on the newest model.
void Coordinator::take_end_of_discarded(const EventSource::Event& arrived) {
  WorkerState& worker = state(arrived.worker);
  worker.discarding = false;
  for (RunObserver* observer : observers_) observer->on_discarded_over(arrived.worker, arrived.time);
  start_if_waiting(arrived.worker);  // before it can end
  executor_->discarded_is_over(arrived.worker);
  hand_over_late(arrived.worker, arrived.time);
  if (worker.absence.hung) {
    take_back(arrived.worker, &Absence::hung, arrived.time, "its job has come to an end after all");
  }
}

void Coordinator::hand_over_late(int worker, double time) {
  actions_.assign(static_cast<std::size_t>(std::exchange(state(worker).late_hand_overs, 0)),
                  HandOver{worker});
  if (!actions_.empty()) method_.handed_over_late(worker);
  account(actions_, {worker, EventSource::Kind::end_of_job, time}, 0, 0);
  start_if_waiting(worker);
  executor_->act(actions_, 0);
}

/// Follows the actions: moves the version on, hands out jobs, starts them on the clock. Takes out of the list
/// what cannot be done yet. `staleness` is that of the arrival.
std::optional<UpdateRecord> Coordinator::account(Actions& actions, const EventSource::Event& arrived,
                                                 std::uint64_t staleness, double lr) {
  std::optional<UpdateRecord> record;
  const auto withheld = [&](const Action& action) {
    const auto* fold = std::get_if<FoldRow>(&action);
    if (std::holds_alternative<Accumulate>(action) || (fold && fold->update_mean)) {
      staleness_since_update_ = std::max(staleness_since_update_, staleness);
    } else if (const auto* step = std::get_if<Step>(&action)) {
      ++version_;
      record = UpdateRecord{.update = version_,
                            .time = arrived.time,
                            .worker = arrived.worker,
                            .staleness = std::max(staleness_since_update_, staleness),
                            .lr = lr * step->scale,
                            .gradients = gradients_};
      staleness_since_update_ = 0;
    } else if (const auto* to = std::get_if<HandOver>(&action)) {
      return !hand_over(to->worker);
    } else if (const auto* thrown_away = std::get_if<Discard>(&action)) {
      return !discard(thrown_away->worker);
    }
    return false;
  };
  std::erase_if(actions, withheld);
  return record;
}

/// False if it has to wait for the end of a discarded job.
bool Coordinator::hand_over(int index) {
  WorkerState& worker = state(index);
  if (worker.absence.any()) throw std::logic_error(fmt::format("a job for worker {}, which is lost", index));
  if (worker.discarding) {
    ++worker.late_hand_overs;
    return false;
  }
  worker.jobs.push({worker.handed_over++, version_});
  start_if_waiting(index);
  return true;
}

/// False if the job has not even begun, because one discarded before it goes on.
bool Coordinator::discard(int index) {
  WorkerState& worker = state(index);
  if (worker.discarding) {
    --worker.late_hand_overs;
    return false;
  }
  throw_away(index);
  start_if_waiting(index);
  return true;
}

/// The job that a worker is computing.
void Coordinator::throw_away(int index) {
  WorkerState& worker = state(index);
  ++worker.discarded_jobs;
  const double spent = clock_->now() - worker.started_at;
  worker.busy_time += spent;
  worker.discarded_time += spent;
  if (worker.jobs.empty()) throw std::logic_error(fmt::format("worker {} has no job to throw away", index));
  const Job job = worker.jobs.pop();
  discards_.push_back({index, job.number, job.version, clock_->now(), spent});
  worker.computing = false;
  worker.discarding = clock_->lets_discarded_jobs_end();
  clock_->discard(index);
}

void Coordinator::start_if_waiting(int index) {
  WorkerState& worker = state(index);
  if (worker.computing || worker.discarding || worker.jobs.empty()) return;
  worker.computing = true;
  worker.started_at = clock_->now();
  worker.started_job = worker.jobs.front().number;
  clock_->start_job(index, worker.started_job);
}

/// At the time of an arrival: what the wall clock shows by now no replay could know.
double Coordinator::learning_rate(double time) const {
  return learning_rate_.at({version_, gradients_, time}, options_.limits());
}

}  // namespace tardigrad
