#include "runtime/coordinator/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "runtime/coordinator/coordinator_lead.h"
#include "runtime/coordinator/coordinator_state.h"
#include "runtime/device/profiler_range.h"

namespace tardigrad {
namespace {

/// Leaves the newest model in `model` that can be had, and returns its update.
std::uint64_t salvage(Executor& executor, const Evaluations& evaluations, std::span<float> model) noexcept {
  try {
    std::vector<float> newest(model.size());
    executor.apply_planned();
    executor.server().read_model(newest);
    std::ranges::copy(newest, model.begin());
    return executor.server().version();
  } catch (const std::exception&) {  // the server's device is lost, too
    return evaluations.newest_on_host(model);
  }
}

/// Looks at the table of a verified method. Every arrival has been collected.
void check_table(VerifiedMethod* verified, ParameterServer& server, const RunPosition& position) {
  if (!verified) return;
  const auto read = [&server](const VectorVisitor& mean, const VectorVisitor& row) {
    server.read_mean_and_rows(mean, row);
  };
  if (verified->check_table(read)) return;
  throw NumberNotFinite(fmt::format("a gradient in the table at update {} is not finite", position.updates),
                        position.updates, position.time);
}

}  // namespace

Coordinator::Coordinator(Objective& objective, Method& method, Execution execution, const RunOptions& options,
                         std::vector<RunObserver*> observers)
    : objective_(objective),
      method_(method),
      options_(options),
      learning_rate_(options.lr, options.lr_schedule),
      stop_rule_(options.stop_rule()),
      observers_(std::move(observers)),
      state_(std::make_unique<State>(*this)),
      lead_(std::make_unique<Lead>(*this)),
      execution_(std::move(execution)),
      events_(*execution_.events),
      executor_(*execution_.executor),
      jobs_(objective.workers(), events_),
      membership_(objective.workers()),
      records_(executor_, observers_),
      evaluations_(objective, options_) {
  if (options_.checkpoints.folder.empty()) return;
  checkpoints_ = std::make_unique<Checkpoints>(options_.checkpoints, objective.layout(), execution_.server,
                                               *state_, observers_);
}

Coordinator::~Coordinator() = default;

RunSummary Coordinator::run(std::span<float> model, const std::stop_token& stop) {
  break_off_ = BreakOff(stop);
  if (!resumed_) evaluations_.begin_with(model);
  const struct WindUp {  // however the run ends, behind what is saved of it
    Coordinator& run;
    ~WindUp() { run.wind_up(); }
  } at_the_end{*this};
  try {
    try {
      if (!resumed_) begin();
      train(stop);
      finish(model, stop);
    } catch (const NumberNotFinite& found) {
      end_not_finite(found);
    }
  } catch (const DeviceError& error) {
    throw DeviceLostError(error, salvage(executor_, evaluations_, model));
  } catch (const WorkersLostError& lost) {
    if (checkpoints_) checkpoints_->save_the_end();
    throw WorkersLostError(lost.what(), salvage(executor_, evaluations_, model));
  } catch (const NotFiniteError&) {
    std::ranges::copy(evaluations_.model(), model.begin());
    throw;
  }
  RunSummary summary = summarise();
  observers_.on_summary(summary);
  return summary;
}

/// The first evaluation, and the method's first actions.
void Coordinator::begin() {
  if (!resumed_) {
    executor_.server().set_model(evaluations_.model());
    if (!evaluate()) throw StoppedEarlyError();
  }
  evaluations_.plan_first();
  execution_.stopwatch->resume();
  actions_.clear();
  method_.start(actions_);
  carry_out({0, events_.now()});
}

void Coordinator::train(const std::stop_token& stop) {
  execution_.stopwatch->resume();
  take_out_failed();
  if (resumed_) evaluate_if_due();  // the run before may have broken it off
  while (true) {
    const auto reason = stop_rule_.reached(position_.at(events_.now()), evaluations_.latest().evaluation);
    if (reason || events_.at_end()) {
      stop_reason_ = reason.value_or(StopReason::recording_ended);
      return;
    }
    if (!stop.stop_requested()) lead_->allow();
    const auto event = events_.next(std::min(options_.time_limit, evaluations_.next_time()), stop);
    if (event) {
      handle(*event);
      take_out_failed();
    } else if (stop.stop_requested()) {
      stop_reason_ = StopReason::interrupted;
      return;
    } else {
      check_progress();
    }
    look_after_model();
  }
}

/// Leaves the newest model in `model`.
void Coordinator::finish(std::span<float> model, const std::stop_token& stop) {
  lead_->catch_up();
  execution_.stopwatch->pause();
  records_.settle();
  if (checkpoints_) checkpoints_->save_the_end();
  const bool evaluated = evaluations_.latest().update == position_.updates;
  if (evaluated) {
    std::ranges::copy(evaluations_.model(), model.begin());
  } else {
    executor_.server().read_model(model);
  }
  if (!stop.stop_requested()) {
    wind_up();
    if (evaluated || evaluate()) return;
  }
  end_stopped(model);
}

/// Soon; in time for whoever kills a program some seconds after asking it to end.
void Coordinator::end_stopped(std::span<float> model) {
  const auto began = BreakOff::Clock::now();
  if (options_.save_first && is_finite(model)) options_.save_first(model);
  const auto saving = BreakOff::Clock::now() - began;
  wind_up();
  break_off_ = BreakOff(BreakOff::Clock::now() + last_evaluation_takes_at_most - saving);
  if (evaluations_.latest().update != position_.updates) evaluate();
}

void Coordinator::handle(const EventSource::Event& event) {
  const ProfilerRange range("arrival", static_cast<std::uint64_t>(event.worker));
  switch (event.kind) {
    case EventSource::Kind::lost:
      return take_out(event.worker, Absence::scripted, event.time, events_.reason());
    case EventSource::Kind::back:
      return take_back(event.worker, Absence::scripted, event.time, events_.reason());
    case EventSource::Kind::end_of_job:
      break;
  }
  if (membership_.is_out(event.worker, Absence::failed) || !executor_.is_healthy(event.worker)) return;
  if (jobs_.is_discarding(event.worker)) {
    executor_.retire_discarded(event.worker);
    take_end_of_discarded(event.worker, event.time);
    take_back(event.worker, Absence::hung, event.time, "its job has come to an end after all");
  } else {
    take_gradient(event);
  }
}

void Coordinator::take_gradient(const EventSource::Event& event) {
  GradientRecord gradient = jobs_.arrive(event, position_.updates);
  const JobRecord& job = gradient.job;
  gradient.gradients = ++position_.gradients;
  gradient.examples = position_.examples += objective_.examples_per_job(job.worker);
  if (execution_.health) execution_.health->add(job.worker, jobs_.started_at(job.worker), job.compute_time);
  observers_.on_arrival(job);

  actions_.clear();
  method_.arrive({job.worker, job.version, gradient.staleness, job.compute_time}, actions_);
  records_.make_room();
  const double lr = learning_rate_.at(position_.at(event.time), stop_rule_.limits);
  const auto update = apply({event.worker, event.time}, gradient.staleness, lr);
  if (update) gradient.update = update->update;
  jobs_.start_if_free(event.worker, orders_);
  executor_.arrive(event.worker, {job.job, job.version}, orders_, lr);
  if (const auto computing_s = executor_.computing_s()) {
    gradient.hand_over_time = std::max(0.0, job.compute_time - *computing_s);
  }
  jobs_.note_waiting(gradient);
  records_.add(gradient, update);
}

/// The worker is free for the jobs that it was to begin meanwhile, on the newest model.
void Coordinator::take_end_of_discarded(int worker, double time) {
  const int late = jobs_.retire_discarded(worker);
  observers_.on_discarded_over(worker, time);
  if (late > 0) method_.handed_over_late(worker);
  actions_.assign(static_cast<std::size_t>(late), HandOver{worker});
  carry_out({worker, time});
}

/// Reads the method's actions: moves the version on, hands out jobs and has them begin, writes the orders of
/// the executor. What cannot be done yet is left out. `staleness` is that of the gradient, if there is one.
std::optional<UpdateRecord> Coordinator::apply(const Cause& cause, std::uint64_t staleness, double lr) {
  std::optional<UpdateRecord> record;
  orders_.begin(position_.updates);
  if (options_.hand_over_on_device) orders_.set_each_arrival(method_.each_arrival());
  for (const Action& action : actions_) {
    if (const auto* to = std::get_if<HandOver>(&action)) {
      if (membership_.is_out(to->worker)) {
        throw std::logic_error(fmt::format("a job for worker {}, which is lost", to->worker));
      }
      jobs_.hand_over(to->worker, position_.updates, orders_);
      continue;
    }
    if (const auto* discard = std::get_if<Discard>(&action)) {
      if (const auto job = jobs_.discard(discard->worker, orders_)) records_.add_discard(*job);
      continue;
    }
    orders_.add(action);
    const auto* fold = std::get_if<FoldRow>(&action);
    if (std::holds_alternative<Accumulate>(action) || std::holds_alternative<Correct>(action) ||
        (fold && fold->update_mean)) {
      staleness_since_update_ = std::max(staleness_since_update_, staleness);
    } else if (const auto* step = std::get_if<Step>(&action)) {
      record = UpdateRecord{.update = ++position_.updates,
                            .time = cause.time,
                            .worker = cause.worker,
                            .staleness = std::max(std::exchange(staleness_since_update_, 0), staleness),
                            .lr = lr * step->scale,
                            .gradients = position_.gradients};
    }
  }
  return record;
}

/// Carries out actions that no gradient comes with.
std::optional<UpdateRecord> Coordinator::carry_out(const Cause& cause) {
  const double lr = learning_rate_.at(position_.at(cause.time), stop_rule_.limits);
  auto update = apply(cause, 0, lr);
  jobs_.start_if_free(cause.worker, orders_);
  executor_.carry_out(orders_, lr);
  return update;
}

/// What is due of evaluations, of kept models, of looks at the table, and of checkpoints.
void Coordinator::look_after_model() {
  const auto table_check_due = [this] { return options_.verified && options_.verified->table_check_due(); };
  if (evaluations_.keep_due(position_.updates) || table_check_due()) lead_->catch_up();
  evaluate_if_due();
  if (evaluations_.keep_due(position_.updates)) {
    records_.settle();
    evaluations_.keep(executor_.server(), position_.updates);
  }
  if (table_check_due()) {
    records_.settle();
    check_table(options_.verified, executor_.server(), position_.at(events_.now()));
  }
  if (checkpoints_) checkpoints_->save_if_due(position_.updates);
}

void Coordinator::evaluate_if_due() {
  const RunPosition now = position_.at(events_.now());
  if (evaluations_.due(now) && evaluate()) evaluations_.plan_next(now.time);
}

/// Training's clocks stand still meanwhile. False if it was broken off, and nothing came of it.
bool Coordinator::evaluate() {
  const ProfilerRange range("evaluate");
  const bool was_training = execution_.stopwatch->running();
  lead_->catch_up();
  execution_.stopwatch->pause();
  records_.settle();
  std::vector<float> model(objective_.dimension());
  executor_.server().read_model(model);
  const RunPosition now = position_.at(events_.now());
  try {
    const auto look_at_table = [&] { check_table(options_.verified, executor_.server(), now); };
    EvaluationRecord record = evaluations_.evaluate(model, now, look_at_table, break_off_);
    record.train_time_s = execution_.stopwatch->elapsed_s();
    record.train_loss = records_.mean_loss();
    records_.begin_mean();
    evaluations_.accept(record, std::move(model));
    observers_.on_evaluation(record);
  } catch (const BrokenOff&) {
    return false;
  }
  if (was_training) execution_.stopwatch->resume();
  return true;
}

/// Tells the observers, and makes the newest model whose losses were finite that of the run.
void Coordinator::end_not_finite(const NumberNotFinite& found) {
  const auto checkpoints = checkpoints_ ? checkpoints_->newest_first() : std::vector<std::filesystem::path>();
  const auto finite = evaluations_.go_back_before(found.version(), checkpoints, break_off_);
  std::string text = fmt::format("{}: a smaller --lr (now {}) may help", found.what(), options_.lr);
  if (finite) text += fmt::format("; the last finite model is that of update {}", *finite);
  observers_.on_warning({Warning::Kind::not_finite, found.version(), found.time(), text});
  throw NotFiniteError(text, finite);
}

RunSummary Coordinator::summarise() const {
  const EvaluationRecord& latest = evaluations_.latest();
  RunSummary summary;
  summary.updates = position_.updates;
  summary.gradients = position_.gradients;
  summary.time = events_.now();
  summary.train_time_s = execution_.stopwatch->elapsed_s();
  summary.final_evaluation = latest.evaluation;
  summary.evaluated_update = latest.update;
  summary.train_loss = latest.train_loss;
  summary.largest_drift = executor_.server().largest_drift();
  summary.stop_reason = stop_reason_;
  double busy_shares = 0;
  double discarded_shares = 0;
  for (int worker = 0; worker < objective_.workers(); ++worker) {
    WorkerRecord& record = summary.workers.emplace_back(jobs_.summarise(worker, summary.time));
    record.device = executor_.device(worker).name();
    summary.staleness_max = std::max(summary.staleness_max, record.staleness.max());
    busy_shares += record.busy_share;
    discarded_shares += record.busy_share * record.discarded_share;
  }
  summary.idle_share = 1 - busy_shares / objective_.workers();
  if (busy_shares > 0) summary.discarded_share = discarded_shares / busy_shares;
  return summary;
}

}  // namespace tardigrad
