#include "runtime/execution/lookahead_executor.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "runtime/base/start_thread.h"
#include "runtime/device/profiler_range.h"
#include "runtime/execution/job_versions.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tardigrad {
namespace {

/// Looks for work before a helper goes to sleep; waking it costs as much as several small gradients.
constexpr int looks_before_sleep = 4096;

/// Between looks for what another thread is about to do; now and then it may need this one's processor for
/// that.
void pause(int& looks) {
  constexpr int looks_between_yields = 256;
  if (++looks % looks_between_yields == 0) {
    std::this_thread::yield();
    return;
  }
#if defined(__SSE2__)
  _mm_pause();
#endif
}

/// Tells whether actions behind a lazy fold may read the gradient. Those that merely hand the model over, as
/// most do, let the fold keep its memory as the row, and leave what it had to the next gradient at once,
/// while the caches hold it.
bool reads_gradient(const Actions& actions) {
  const auto hands_over = [](const Action& action) { return std::holds_alternative<HandOver>(action); };
  return !std::ranges::all_of(actions, hands_over);
}

}  // namespace

LookaheadExecutor::LookaheadExecutor(Objective& objective, const std::vector<Device>& devices,
                                     ServerMemory memory, const ServerOptions& server, const JobOptions& job)
    : dimension_(objective.dimension()),
      capacity_(arrivals_ahead(devices.size())),
      server_options_(server),
      server_stream_(Stream::immediate(devices.front(), "server")),
      gradient_memory_(server_stream_, capacity_ * vector_stride(dimension_)),
      server_(server_stream_, dimension_, objective.workers(), memory, server,
              [this](std::size_t count, const auto& body) { share(count, body); }),
      replicas_(devices.front(), devices.front(), dimension_),
      workers_(static_cast<std::size_t>(objective.workers())),
      ring_(std::make_unique<Arrival[]>(capacity_)) {
  gradients_.reserve(capacity_);
  of_arrivals_.reserve(capacity_);
  for (const Device device : devices) lanes_.push_back(std::make_unique<Lane>(objective, device, job));
  for (std::size_t i = 0; i < capacity_; ++i) {
    lanes_[i % lanes_.size()]->free_gradients.push_back(gradient_memory_.ref().data() +
                                                        i * vector_stride(dimension_));
  }
  helpers_ = start_helpers("gradients in virtual time", lanes_.size() - 1,
                           [this](std::size_t helper) { help(*lanes_[helper + 1]); });
  alone_ = helpers_.empty();  // helpers look at it behind the first arrival only
}

LookaheadExecutor::~LookaheadExecutor() { LookaheadExecutor::drain(); }

bool LookaheadExecutor::drain(const DrainTimeout&) noexcept {
  ending_ = true;
  wake_helpers();
  helpers_.clear();
  return true;
}

/// None of them is being computed: those that are have arrived.
void LookaheadExecutor::lose(int worker, bool /*computes*/) {
  Fifo<Replica*>& models = workers_[static_cast<std::size_t>(worker)].models;
  while (!models.empty()) release(*models.pop());
}

/// Finds out where the models of hand-overs go. `number` arrivals are planned before.
void LookaheadExecutor::place_jobs(const Orders& orders, std::uint64_t number,
                                   std::vector<Replica*>& targets) {
  targets.clear();
  if (reads_tables(orders)) tables_settled_ = number;
  for (const Orders::OfJob& order : orders.of_jobs()) {
    Fifo<Replica*>& models = workers_[static_cast<std::size_t>(order.worker)].models;
    if (order.kind == Orders::OfJob::Kind::discard) {
      release(*models.pop());
      continue;
    }
    bool fresh = false;
    Replica& replica = replicas_.take(order.job.version, fresh);
    if (fresh) replica.order = number;
    targets.push_back(fresh ? &replica : nullptr);
    models.push(&replica);
  }
}

void LookaheadExecutor::release(Replica& replica) {
  replica_snapshot_.save(replica, server_);
  replicas_.release(replica);
}

/// What is planned from here on is ordered behind all replicas as they are.
std::vector<std::uint64_t> LookaheadExecutor::begin_snapshot(Snapshot& snapshot) {
  for (const WorkerJobs& worker : workers_) {
    worker.models.for_each([this](Replica* replica) { replica_snapshot_.add(*replica); });
  }
  return replica_snapshot_.begin(snapshot);
}

void LookaheadExecutor::restore_jobs(std::span<const std::vector<Job>> jobs, VectorFile& vectors,
                                     std::span<const std::uint64_t> models) {
  const auto replicas = replicas_.restore(vectors, server_stream_, versions_of(jobs), models);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    for (const Job& job : jobs[i]) workers_[i].models.push(&ReplicaPool::share(*replicas.at(job.version)));
  }
}

/// What a lazy fold must not come before: it would be seen too early. ScaleMean, and CountRow by itself, look
/// at no row.
bool LookaheadExecutor::reads_tables(const Orders& orders) const {
  const auto& every = server_options_.resum_every;
  return orders.reads_tables() || (every && orders.version() / *every != orders.version_before() / *every);
}

void LookaheadExecutor::carry_out(const Orders& orders, double lr) {
  apply_until(planned_);
  place_jobs(orders, planned_, targets_);
  server_.apply(orders.for_server(), lr, targets_, nullptr);
}

/// The job's replica may be written anew by hand-overs of this arrival and of later ones: that comes only
/// after the gradient has been computed at it.
void LookaheadExecutor::arrive(int worker, const Job& job, Orders& orders, double lr) {
  const std::uint64_t number = planned_.load(std::memory_order_relaxed);
  Arrival& next = arrival(number);
  WorkerJobs& jobs = workers_[static_cast<std::size_t>(worker)];
  Replica& model = *jobs.models.pop();
  release(model);
  next.worker = worker;
  next.job = job.number;
  next.model = &model;
  // One job of a worker at a time: its minibatches are drawn in order, and its folds, too.
  std::uint64_t ready_after = std::max(model.order, jobs.applied_after);
  orders.take_for_server(next.actions);
  const auto* fold = next.actions.empty() ? nullptr : std::get_if<FoldRow>(&next.actions.front());
  next.fold.reset();
  if (fold && !fold->update_mean) {
    next.fold = *fold;
    next.actions.erase(next.actions.begin());
    ready_after = std::max(ready_after, tables_settled_);
  }
  next.ready_after.store(ready_after, std::memory_order_relaxed);
  next.lr = lr;
  place_jobs(orders, number + 1, next.targets);
  jobs.applied_after = number + 1;
  next.ticket.store(ticket(number, planned), std::memory_order_relaxed);
  publish(planned_, number + 1);
}

void LookaheadExecutor::apply_planned() {
  if (!failed_) apply_until(planned_);
}

float LookaheadExecutor::collect() {
  apply_until(collected_ + 1);
  return arrival(collected_++).loss;
}

/// Arrivals are applied when there are some of them, or a thread has nothing to do: the more, the fewer
/// passes over model and mean, but helpers wait for models.
void LookaheadExecutor::apply_until(std::uint64_t count) {
  const std::size_t enough = lanes_.size();
  int looks = 0;
  while (true) {
    const std::uint64_t number = applied_.load(std::memory_order_relaxed);
    if (number >= count) return;
    const std::uint64_t end = computed_until();
    const bool more_are_better = end == number || (end < number + enough && idle_helpers_ == 0);
    if (more_are_better && compute_one(*lanes_.front())) continue;
    if (end > number) {
      apply(number, end);
    } else {
      pause(looks);
    }
  }
}

/// The first planned arrival whose gradient is not there yet. One that failed is by itself.
std::uint64_t LookaheadExecutor::computed_until() const {
  const std::uint64_t first = applied_.load(std::memory_order_relaxed);
  for (std::uint64_t number = first; number < planned_.load(std::memory_order_relaxed); ++number) {
    const Arrival& one = arrival(number);
    if (one.ticket.load(std::memory_order_acquire) != ticket(number, computed)) return number;
    if (one.error) return number == first ? number + 1 : number;
  }
  return planned_.load(std::memory_order_relaxed);
}

void LookaheadExecutor::apply(std::uint64_t begin, std::uint64_t end) {
  if (arrival(begin).error) {
    failed_ = true;
    std::rethrow_exception(arrival(begin).error);
  }
  gradients_.clear();
  of_arrivals_.clear();
  for (std::uint64_t number = begin; number < end; ++number) {
    Arrival& one = arrival(number);
    if (one.gradient) gradients_.push_back(arrived(one));
    of_arrivals_.push_back({one.actions, one.lr, one.targets, one.gradient ? &gradients_.back() : nullptr});
  }
  try {
    server_.apply_all(of_arrivals_);
  } catch (...) {
    failed_ = true;
    throw;
  }
  for (std::uint64_t number = begin; number < end; ++number) give_back_gradient(arrival(number));
  publish(applied_, end);
}

/// Takes the arrival for computing, if nobody has and its model is there.
bool LookaheadExecutor::claim(std::uint64_t number) {
  Arrival& one = arrival(number);
  std::uint64_t expected = ticket(number, planned);
  return one.ticket.load(std::memory_order_acquire) == expected &&
         one.ready_after.load(std::memory_order_relaxed) <= applied_.load() &&
         one.ticket.compare_exchange_strong(expected, ticket(number, computing));
}

/// Computes the earliest gradient that can be; false if there is none.
bool LookaheadExecutor::compute_one(Lane& lane) {
  for (std::uint64_t number = applied_.load(); number < planned_.load(); ++number) {
    if (!claim(number)) continue;
    compute(number, lane);
    return true;
  }
  return false;
}

void LookaheadExecutor::compute(std::uint64_t number, Lane& lane) {
  Arrival& one = arrival(number);
  try {
    one.lane = &lane;
    one.gradient = take_gradient(lane);
    const BufferRef<float> gradient(one.gradient, dimension_, server_stream_.device());
    lane.jobs.enqueue_minibatch(one.worker, one.job);
    lane.jobs.enqueue_gradient(one.worker, one.job, one.model->model, gradient, &one.loss);
    const bool read_later = reads_gradient(one.actions);
    if (one.fold) {
      ArrivedGradient folded = arrived(one);
      if (read_later) folded.exchangeable = nullptr;
      server_.fold(*one.fold, folded);
    }
    if (!read_later) give_back_gradient(one);
  } catch (...) {
    one.error = std::current_exception();
  }
  one.ticket.store(ticket(number, computed), std::memory_order_release);
}

/// A caller alone has nobody to keep away.
std::unique_lock<std::mutex> LookaheadExecutor::lock_gradients() {
  return alone_ ? std::unique_lock(gradients_mutex_, std::defer_lock) : std::unique_lock(gradients_mutex_);
}

/// Best memory that the lane has used before: its caches may hold it, and those of others do not.
float* LookaheadExecutor::take_gradient(Lane& lane) {
  const std::unique_lock lock = lock_gradients();
  const auto has_one = [](const std::unique_ptr<Lane>& other) { return !other->free_gradients.empty(); };
  std::vector<float*>& gradients = lane.free_gradients.empty()
                                       ? (*std::ranges::find_if(lanes_, has_one))->free_gradients
                                       : lane.free_gradients;
  float* const gradient = gradients.back();
  gradients.pop_back();
  return gradient;
}

void LookaheadExecutor::give_back_gradient(Arrival& one) {
  if (!one.gradient) return;
  const std::unique_lock lock = lock_gradients();
  one.lane->free_gradients.push_back(std::exchange(one.gradient, nullptr));
}

ArrivedGradient LookaheadExecutor::arrived(Arrival& one) {
  return {{one.gradient, dimension_, server_stream_.device()}, nullptr, &one.gradient};
}

void LookaheadExecutor::help(Lane& lane) {
  name_this_thread(lane.stream.ref().name().c_str());
  int looks = 0;
  bool idle = false;
  while (!ending_) {
    const bool worked = help_with_shared() || compute_one(lane);
    if (worked == idle) {
      idle = !worked;
      idle_helpers_ += idle ? 1 : -1;
    }
    if (worked) {
      looks = 0;
    } else if (looks < looks_before_sleep) {
      pause(looks);
    } else {
      // Whoever makes work after this count sees that somebody sleeps; what was made before is found now.
      const std::uint32_t seen = wake_ups_.load();
      ++sleeping_;
      if (!compute_one(lane) && !ending_) wake_ups_.wait(seen);
      --sleeping_;
      looks = 0;
    }
  }
}

void LookaheadExecutor::Shared::work() {
  for (std::size_t i = next++; i < count; i = next++) {
    body(i);
    ++done;
  }
}

/// Helpers that are busy with a gradient don't come; then the caller does it alone.
void LookaheadExecutor::share(std::size_t count, const std::function<void(std::size_t)>& body) {
  Shared shared{count, body};
  shared_ = &shared;
  wake_helpers();
  shared.work();
  int looks = 0;
  while (shared.done != count) pause(looks);
  shared_ = nullptr;
  while (sharing_ != 0) pause(looks);
}

bool LookaheadExecutor::help_with_shared() {
  if (!shared_.load()) return false;
  ++sharing_;
  Shared* const shared = shared_;
  if (shared) shared->work();
  --sharing_;
  return shared != nullptr;
}

/// Shows helpers, if there are any, how far the caller is.
void LookaheadExecutor::publish(std::atomic<std::uint64_t>& count, std::uint64_t value) {
  if (alone_) return count.store(value, std::memory_order_relaxed);
  count.store(value);
  wake_helpers();
}

void LookaheadExecutor::wake_helpers() {
  if (sleeping_.load() == 0) return;
  ++wake_ups_;
  wake_ups_.notify_all();
}

}  // namespace tardigrad
