#include "runtime/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <variant>

#include "runtime/profiler_range.h"

namespace tardigrad {
namespace {

/// In virtual time: jobs of a worker that may be enqueued ahead of the oldest loss not looked at.
constexpr int jobs_ahead = 4;

std::uint64_t median(const std::map<std::uint64_t, std::uint64_t>& counts, std::uint64_t total) {
  std::uint64_t below = 0;
  for (const auto& [value, count] : counts) {
    below += count;
    if (2 * below >= total) return value;
  }
  return 0;
}

}  // namespace

Coordinator::Coordinator(Objective& objective, Method& method, const Delays& delays,
                         const std::vector<Device>& devices, const RunOptions& options,
                         std::vector<RunObserver*> observers)
    : objective_(objective),
      method_(method),
      delays_(delays),
      options_(options),
      observers_(std::move(observers)),
      states_(static_cast<std::size_t>(objective.workers())),
      host_model_(objective.dimension()) {
  if (!objective.runs_on(devices.front().backend)) {
    throw std::invalid_argument(fmt::format("the objective does not run on {}", devices.front().name()));
  }
  const bool wall = options.clock == ClockKind::wall;
  if (wall) {
    auto clock = std::make_unique<WallClock>(stopwatch_);
    wall_clock_ = clock.get();
    clock_ = std::move(clock);
  } else {
    clock_ = std::make_unique<VirtualClock>(delays);
  }
  const auto workers = static_cast<std::size_t>(objective.workers());
  const std::size_t streams = wall ? workers : std::min(workers, devices.size());
  for (std::size_t i = 0; i < streams; ++i) {
    const Device device = devices[i % devices.size()];
    streams_.emplace_back(device,
                          wall ? fmt::format("worker {}", i) : fmt::format("workers {}", device.name()));
    engines_.push_back(objective.make_engine(streams_.back()));
  }
  std::vector<BufferRef<float>> replicas;
  for (std::size_t i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<Worker>(static_cast<int>(i), streams_[i % streams],
                                                *engines_[i % streams], objective.dimension(),
                                                wall ? 1 : jobs_ahead));
    replicas.push_back(workers_.back()->replica());
  }
  server_.emplace(devices.front(), objective.dimension(), method.memory(), options.lr, std::move(replicas));
}

Coordinator::~Coordinator() { wind_up(); }

RunSummary Coordinator::run(std::span<float> model, const std::stop_token& stop) {
  std::copy(model.begin(), model.end(), host_model_.begin());
  server_->set_model(host_model_);
  evaluate();
  train(stop);
  stopwatch_.pause();
  settle_all();
  wind_up();
  if (latest_evaluation_->update != version_) evaluate();
  std::copy(host_model_.begin(), host_model_.end(), model.begin());
  RunSummary summary = summarise();
  for (RunObserver* observer : observers_) observer->on_summary(summary);
  return summary;
}

void Coordinator::train(const std::stop_token& stop) {
  if (options_.evaluate_every_time) next_evaluation_time_ = *options_.evaluate_every_time;
  stopwatch_.resume();
  Actions actions;
  method_.start(actions);
  server_->apply(actions);
  start_jobs(actions);
  while (!finished()) {
    const auto arrived = clock_->next(std::min(options_.time_limit, next_evaluation_time_), stop);
    if (arrived) {
      take(*arrived);
    } else if (stop.stop_requested()) {
      stop_reason_ = StopReason::interrupted;
      return;
    } else {
      check_devices();
    }
    evaluate_if_due();
  }
}

void Coordinator::take(const Clock::Arrived& arrived) {
  const ProfilerRange range("arrival");
  Worker& worker = *workers_[static_cast<std::size_t>(arrived.worker)];
  WorkerState& state = states_[static_cast<std::size_t>(arrived.worker)];
  const std::uint64_t staleness = version_ - state.version;
  state.working = false;
  state.busy_time += arrived.time - state.started_at;
  ++state.arrivals;
  ++state.staleness_counts[staleness];
  ++gradients_;
  staleness_since_update_ = std::max(staleness_since_update_, staleness);

  Actions actions;
  method_.arrive({arrived.worker, state.version}, actions);
  server_->apply(actions, worker.gradient(), worker.gradient_ready());
  pending_.push_back({arrived.worker, count_steps(actions, arrived)});
  if (wall_clock_) settle_all();
  start_jobs(actions);
}

/// Moves the version on; versions of hand-overs are those at their place among the actions.
std::optional<UpdateRecord> Coordinator::count_steps(const Actions& actions, const Clock::Arrived& arrived) {
  std::optional<UpdateRecord> record;
  for (const Action& action : actions) {
    if (const auto* step = std::get_if<Step>(&action)) {
      ++version_;
      record = UpdateRecord{.update = version_,
                            .time = arrived.time,
                            .worker = arrived.worker,
                            .staleness = staleness_since_update_,
                            .lr = options_.lr * step->scale,
                            .gradients = gradients_};
      staleness_since_update_ = 0;
    } else if (const auto* hand_over = std::get_if<HandOver>(&action)) {
      states_[static_cast<std::size_t>(hand_over->worker)].version = version_;
    }
  }
  return record;
}

void Coordinator::start_jobs(const Actions& actions) {
  for (const Action& action : actions) {
    if (const auto* hand_over = std::get_if<HandOver>(&action)) start_job(hand_over->worker);
  }
}

void Coordinator::start_job(int index) {
  Worker& worker = *workers_[static_cast<std::size_t>(index)];
  WorkerState& state = states_[static_cast<std::size_t>(index)];
  while (worker.full()) settle_oldest();
  state.working = true;
  state.started_at = clock_->now();
  const std::uint64_t job = worker.next_job();
  clock_->start_job(index, job);
  Worker::Throttle throttle;
  std::function<void()> on_complete;
  if (wall_clock_) {
    if (!delays_.measured()) {
      throttle = {delays_.duration(index, job) * options_.time_unit_s, &stopwatch_,
                  end_throttles_.get_token()};
    }
    on_complete = [clock = wall_clock_, index] { clock->gradient_complete(index); };
  }
  worker.start_job(server_->model_ready(index), throttle, std::move(on_complete));
}

/// Looks at the loss of the oldest arrival, and passes its record on.
void Coordinator::settle_oldest() {
  Pending pending = pending_.front();
  pending_.pop_front();
  const float loss = workers_[static_cast<std::size_t>(pending.worker)]->collect();
  if (!std::isfinite(loss)) {
    throw NotFiniteError(
        fmt::format("the loss of worker {} is {} at update {}: a smaller --lr (now {}) may help",
                    pending.worker, loss, pending.update ? pending.update->update : version_, options_.lr));
  }
  loss_sum_ += static_cast<double>(loss);
  ++loss_count_;
  if (!pending.update) return;
  pending.update->loss = loss;
  for (RunObserver* observer : observers_) observer->on_update(*pending.update);
}

void Coordinator::settle_all() {
  while (!pending_.empty()) settle_oldest();
}

bool Coordinator::finished() {
  const auto reached = [this](bool condition, StopReason reason) {
    if (condition) stop_reason_ = reason;
    return condition;
  };
  return reached(options_.max_updates && version_ >= *options_.max_updates, StopReason::updates) ||
         reached(options_.max_gradients && gradients_ >= *options_.max_gradients, StopReason::epochs) ||
         reached(clock_->now() >= options_.time_limit, StopReason::time_limit) ||
         reached(options_.target_accuracy && latest_evaluation_->evaluation.accuracy &&
                     *latest_evaluation_->evaluation.accuracy >= *options_.target_accuracy,
                 StopReason::target_accuracy);
}

void Coordinator::evaluate_if_due() {
  const bool by_updates = options_.evaluate_every_updates &&
                          version_ >= latest_evaluation_->update + *options_.evaluate_every_updates;
  const bool by_time = clock_->now() >= next_evaluation_time_;
  if (by_time) {
    const double periods = std::floor(clock_->now() / *options_.evaluate_every_time);
    next_evaluation_time_ = (periods + 1) * *options_.evaluate_every_time;
  }
  if (by_updates || by_time) evaluate();
}

/// Training's clocks stand still meanwhile.
void Coordinator::evaluate() {
  const ProfilerRange range("evaluate");
  const bool was_training = stopwatch_.running();
  stopwatch_.pause();
  settle_all();
  server_->read_model(host_model_);
  EvaluationRecord record{
      version_,    clock_->now(), stopwatch_.elapsed_s(), gradients_, objective_.evaluate(host_model_),
      std::nullopt};
  if (!std::isfinite(record.evaluation.loss)) {
    throw NotFiniteError(fmt::format("the loss is {} after update {}: a smaller --lr (now {}) may help",
                                     record.evaluation.loss, version_, options_.lr));
  }
  if (loss_count_ > 0) record.train_loss = loss_sum_ / static_cast<double>(loss_count_);
  loss_sum_ = 0;
  loss_count_ = 0;
  latest_evaluation_ = record;
  for (RunObserver* observer : observers_) observer->on_evaluation(record);
  if (was_training) stopwatch_.resume();
}

void Coordinator::check_devices() {
  server_->stream().check();
  for (const Stream& stream : streams_) stream.ref().check();
}

/// Lets jobs in flight end, unheard; then nothing uses the buffers any more.
void Coordinator::wind_up() noexcept {
  end_throttles_.request_stop();
  for (const Stream& stream : streams_) stream.drain();
  if (server_) server_->drain();
}

RunSummary Coordinator::summarise() const {
  RunSummary summary;
  summary.updates = version_;
  summary.gradients = gradients_;
  summary.time = clock_->now();
  summary.train_time_s = stopwatch_.elapsed_s();
  summary.final_evaluation = latest_evaluation_->evaluation;
  summary.train_loss = latest_evaluation_->train_loss;
  summary.stop_reason = stop_reason_;
  for (int worker = 0; worker < objective_.workers(); ++worker) {
    summary.workers.push_back(summarise_worker(worker));
    summary.staleness_max = std::max(summary.staleness_max, summary.workers.back().staleness_max);
  }
  return summary;
}

WorkerRecord Coordinator::summarise_worker(int worker) const {
  const WorkerState& state = states_[static_cast<std::size_t>(worker)];
  WorkerRecord record;
  record.worker = worker;
  record.device = workers_[static_cast<std::size_t>(worker)]->device().name();
  record.jobs = state.arrivals;
  if (state.arrivals > 0) record.mean_compute_time = state.busy_time / static_cast<double>(state.arrivals);
  const double now = clock_->now();
  const double busy = state.busy_time + (state.working ? now - state.started_at : 0);
  if (now > 0) record.busy_share = std::min(1.0, busy / now);
  if (!state.staleness_counts.empty()) {
    record.staleness_median = median(state.staleness_counts, state.arrivals);
    record.staleness_max = state.staleness_counts.rbegin()->first;
  }
  return record;
}

}  // namespace tardigrad
