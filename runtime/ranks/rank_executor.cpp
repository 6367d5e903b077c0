#include "runtime/ranks/rank_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "runtime/device/stream_of_caller.h"
#include "runtime/execution/job_versions.h"
#include "runtime/ranks/backoff.h"

namespace tardigrad {
namespace {

/// Where vectors are smaller, to wake a server's thread takes longer than its work.
constexpr std::size_t least_for_own_thread = 1 << 14;

/// As LookaheadExecutor shares work out, which adds up by parts, so that a drift has the same bits.
void one_after_another(std::size_t count, const std::function<void(std::size_t)>& body) {
  for (std::size_t i = 0; i < count; ++i) body(i);
}

/// A server that works off a stream of its own writes models in parts, where they are sent.
std::size_t part_of_models(const RunRanks& ranks, const StreamRef& server) {
  return ranks.sends_models() && !server.immediate() ? ranks.part_of_models : 0;
}

}  // namespace

RankExecutor::RankExecutor(const RunRanks& ranks, Objective& objective, ServerMemory memory,
                           const ExecutionOptions& options, std::optional<Wall> wall)
    : layout_(ranks.layout),
      wall_(std::move(wall)),
      shards_(cut_into_shards(objective.dimension(), ranks.shards)),
      dimension_(shards_.front().size),
      server_stream_(wall_ && dimension_ >= least_for_own_thread
                         ? Stream(ranks.server, "server", Priority::high)
                         : stream_of_caller(ranks.server, "server", Priority::high)),
      places_(ranks, dimension_, ranks.server),
      mail_(*ranks.transport, dimension_, ranks.server, ranks.vectors_on(ranks.server), ranks.copied_by(),
            {.on_sent = [this](Replica& replica) { release(replica); },
             .on_answer = [this](const RankAnswer& answer, Landing* landing,
                                 const std::string& failure) { take_answer(answer, landing, failure); }}),
      replicas_(ranks.vectors_on(ranks.server), ranks.server, dimension_, places_.memory_for_replicas(),
                part_of_models(ranks, server_stream_)),
      workers_(static_cast<std::size_t>(objective.workers())) {
  make_server(ranks, objective.workers(), memory, options.server);
  server_stream_.ref().synchronize();
  const std::vector<int> own = layout_.workers_of(0);
  if (!own.empty()) {
    own_.emplace(mail_, objective, own, ranks.own_devices, options.job,
                 [this](const RankAnswer& answer, Landing* landing, const std::string& failure) {
                   take_answer(answer, landing, failure);
                 });
  }
  if (!wall_) return;
  wall_->events.poll_with([this, backoff = Backoff()]() mutable {
    const bool any_came = look();
    backoff.after(end_stretched() || any_came);
  });
}

void RankExecutor::make_server(const RunRanks& ranks, int workers, ServerMemory memory,
                               const ServerOptions& options) {
  if (ranks.replicated) {
    auto server = std::make_unique<AllReduceServer>(*ranks.transport, mail_, server_stream_, dimension_,
                                                    workers, options);
    of_ranks_ = all_reduce_ = server.get();
    server_ = std::move(server);
    return;
  }
  if (shards_.size() > 1) {
    auto server = std::make_unique<ServerOfShards>(*ranks.transport, mail_, server_stream_, shards_, workers,
                                                   memory, options);
    of_ranks_ = of_shards_ = server.get();
    server_ = std::move(server);
    return;
  }
  server_ = std::make_unique<Server>(
      server_stream_, dimension_, workers, memory, options,
      server_stream_.ref().immediate() ? ParallelFor(one_after_another) : ParallelFor());
}

RankExecutor::~RankExecutor() { RankExecutor::drain({}); }

bool RankExecutor::look() {
  const bool any_own = own_ && own_->look();
  const bool any = mail_.look() || any_own;
  if (!of_shards_) return any;
  const auto take_part = [this](int worker, std::uint64_t job) {  // it may come before the answer
    Flight& flight = flights(worker).of(job);
    --flight.missing_parts;
    if (flight.answered()) finish(worker, flight);
  };
  return of_shards_->look(take_part) || any;
}

/// Returns the worker's oldest job when its gradient is here. Throws DeviceError where it failed.
Flight RankExecutor::wait_for(int worker) {
  if (!flights(worker).awaited()) start(worker);  // as of a checkpoint
  Backoff backoff;
  while (!flights(worker).awaited()->complete) backoff.after(look());
  Flight flight = flights(worker).take_out(flights(worker).awaited()->job);
  if (flight.failure.empty()) return flight;
  throw DeviceError(server_stream_.device(), flight.failure);
}

/// Finds out where the models of hand-overs go.
void RankExecutor::place_jobs(const Orders& orders) {
  targets_.clear();
  for (const Orders::OfJob& order : orders.of_jobs()) {
    if (order.kind == Orders::OfJob::Kind::discard) {
      discard(order.worker);
      continue;
    }
    bool fresh = false;
    Replica& replica = replicas_.take(order.job.version, fresh);
    targets_.push_back(fresh ? &replica : nullptr);
    state(order.worker).models.push({order.job.number, &replica});
  }
}

void RankExecutor::carry_out(const Orders& orders, double lr) {
  place_jobs(orders);
  server_->apply(orders.for_server(), lr, targets_, nullptr);
  for (const int worker : orders.starts()) start(worker);
}

void RankExecutor::arrive(int worker, const Job&, Orders& orders, double lr) {
  const Flight flight = wait_for(worker);
  release(*state(worker).models.pop().replica);
  place_jobs(orders);
  apply(worker, flight, orders, lr);
  losses_.push(flight.answer->loss);
  computing_s_ = wall_ && wall_->time_jobs ? std::optional(flight.computing_s) : std::nullopt;
  for (const int started : orders.starts()) start(started);
}

void RankExecutor::apply(int worker, const Flight& flight, const Orders& orders, double lr) {
  const int rank = layout_.rank_of(worker);
  if (of_ranks_ && rank > 0) of_ranks_->take_arrival({rank, worker, flight.job});
  if (!flight.landing) return server_->apply(orders.for_server(), lr, targets_, nullptr);
  const bool exchanged = server_stream_.ref().immediate() && !flight.landing->is_shared();
  float** const exchangeable = exchanged ? &flight.landing->values : nullptr;
  const ArrivedGradient gradient{{flight.landing->values, dimension_, flight.landing->device},
                                 nullptr,
                                 exchangeable,
                                 &flight.landing->taken};
  server_->apply(orders.for_server(), lr, targets_, &gradient);
  mail_.give_back(*flight.landing);
}

void RankExecutor::start(int worker) {
  if (state(worker).failed) return;
  const auto [job, replica] = state(worker).models.front();
  const int rank = layout_.rank_of(worker);
  Flight& flight = flights(worker).begin(job);
  if (rank == 0) {
    flight.in_place = &ReplicaPool::share(*replica);
    return own_->start(worker, job, *replica);
  }
  RankOrder order{.kind = RankOrder::Kind::start, .worker = worker, .job = job};
  places_.place_gradient(worker, flight, order);
  const bool kept_there = all_reduce_ && replica->version == all_reduce_->version();
  places_.place_model(rank, *replica, kept_there, flight, order);
  Replica* awaited = nullptr;  // that is to be written before the rank may begin
  if (order.model == RankOrder::Model::shared) {
    awaited = flight.in_place = &ReplicaPool::share(*replica);
  } else if (order.model == RankOrder::Model::follows) {
    if (all_reduce_ && replica->model.device().backend == Backend::cuda) {
      throw std::logic_error("a job whose model no other rank has, where GPUs keep it");
    }
    if (of_shards_) of_shards_->send_model(*replica, rank);
    awaited = &ReplicaPool::share(*replica);
  }
  mail_.order(rank, order, awaited, flight.target);
}

/// The oldest job that is waited for: it is left out where its rank has not begun it, and a throttle ends.
void RankExecutor::cancel(int worker) {
  Flight* const flight = flights(worker).awaited();
  if (!flight || std::exchange(flight->cancelled, true) || flight->answered()) return;
  const int rank = layout_.rank_of(worker);
  if (rank == 0) return own_->leave_out(worker, flight->job);
  mail_.order(rank, {.kind = RankOrder::Kind::cancel, .worker = worker, .job = flight->job});
}

/// In wall time the job's end is heard of once more, and the replica is its own until then.
void RankExecutor::discard(int worker) {
  cancel(worker);
  if (wall_) return;
  if (Flight* const flight = flights(worker).awaited()) forget(worker, *flight);
  release(*state(worker).models.pop().replica);
}

/// In wall time the oldest may go on, until it is retired.
void RankExecutor::lose(int worker, bool computes) {
  WorkerJobs& jobs = state(worker);
  const bool one_goes_on = wall_ && computes && !jobs.failed;
  if (one_goes_on) {
    cancel(worker);
  } else {
    forget_all(worker);
  }
  while (jobs.models.size() > (one_goes_on ? 1 : 0)) release(*jobs.models.pop_back().replica);
}

void RankExecutor::forget(int worker, Flight& flight) {
  if (flight.answered()) {
    give_back(worker, flights(worker).take_out(flight.job));
  } else {
    flight.forgotten = true;
  }
}

void RankExecutor::forget_all(int worker) {
  while (Flight* const flight = flights(worker).awaited()) {
    cancel(worker);
    forget(worker, *flight);
  }
}

void RankExecutor::retire_discarded(int worker) {
  if (!wall_) return;  // it was over at once
  give_back(worker, flights(worker).take_out(flights(worker).awaited()->job));
  release(*state(worker).models.pop().replica);
}

void RankExecutor::give_back(int worker, const Flight& flight) {
  if (flight.landing) mail_.give_back(*flight.landing);
  const int rank = layout_.rank_of(worker);
  if (of_ranks_ && rank > 0 && flight.has_gradient()) of_ranks_->drop({rank, worker, flight.job});
}

void RankExecutor::release(Replica& replica) {
  replica_snapshot_.save(replica, *server_);
  replicas_.release(replica);
}

void RankExecutor::take_answer(const RankAnswer& answer, Landing* landing, const std::string& failure) {
  Flight& flight = flights(answer.worker).of(answer.job);
  places_.release_model(answer.rank, flight);
  if (flight.in_place) release(*flight.in_place);
  if (answer.gpu >= 0) state(answer.worker).device = {Backend::cuda, answer.gpu};
  flight.answer = answer;
  flight.landing = landing;
  if (flight.target) {
    if (flight.has_gradient()) {
      flight.landing = flight.target;
    } else {
      mail_.give_back(*flight.target);
    }
  }
  if (answer.kind == RankAnswer::Kind::failed) {
    flight.failure = fmt::format("job {} of worker {} is lost: rank {}: {}", answer.job, answer.worker,
                                 answer.rank, failure);
  }
  if (of_shards_ && flight.has_gradient()) flight.missing_parts += of_shards_->other_shards();
  if (flight.answered()) finish(answer.worker, flight);
}

void RankExecutor::finish(int worker, Flight& flight) {
  if (flight.forgotten) return give_back(worker, flights(worker).take_out(flight.job));
  flight.computing_s = flight.answer->computing_s;
  if (wall_ && wall_->throttle && flight.failure.empty() && !flight.cancelled) {
    stretch(worker, flight);
  } else {
    end_job(worker, flight);
  }
}

void RankExecutor::end_job(int worker, Flight& flight) {
  flight.complete = true;
  if (!wall_) return;
  if (!flight.failure.empty()) {
    state(worker).failed = true;
    failures_.push({worker, flight.failure});
  }
  wall_->events.gradient_complete(worker);
}

/// The job is not over before the time that a throttle gives it.
void RankExecutor::stretch(int worker, Flight& flight) {
  const Throttle& throttle = *wall_->throttle;
  const double now_s = throttle.now();
  const double began_s = now_s - flight.computing_s;
  flight.due_s = throttle.end_s(worker, flight.job, began_s);
  flight.computing_s = std::max(flight.computing_s, flight.due_s - began_s);
  stretched_.push_back(worker);
}

/// Returns whether any has ended.
bool RankExecutor::end_stretched() {
  if (stretched_.empty()) return false;
  const double now_s = wall_->throttle->now();
  return std::erase_if(stretched_, [&](int worker) {
           Flight* const flight = flights(worker).awaited();
           if (!flight || !flight->answered() || flight->complete) return true;  // another one by now
           if (now_s < flight->due_s && !flight->cancelled) return false;
           end_job(worker, *flight);
           return true;
         }) > 0;
}

bool RankExecutor::has_ended(int worker) {
  const Flight* const flight = flights(worker).awaited();
  return flight && flight->complete;
}

std::optional<Executor::Failure> RankExecutor::next_failure() {
  if (failures_.empty()) return std::nullopt;
  return failures_.pop();
}

std::vector<std::uint64_t> RankExecutor::begin_snapshot(Snapshot& snapshot) {
  for (const WorkerJobs& worker : workers_) {
    worker.models.for_each([this](const ModelOfJob& model) { replica_snapshot_.add(*model.replica); });
  }
  return replica_snapshot_.begin(snapshot);
}

/// Where the order of arrivals is known, nobody orders again what had begun before.
void RankExecutor::restore_jobs(std::span<const std::vector<Job>> jobs, VectorFile& vectors,
                                std::span<const std::uint64_t> models) {
  const auto replicas = replicas_.restore(vectors, server_stream_, versions_of(jobs), models);
  for (const auto& [version, replica] : replicas) {
    if (!of_shards_) break;
    const auto row = std::ranges::find(models, version) - models.begin();
    of_shards_->restore_replica(*replica, vectors, static_cast<std::size_t>(row));
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    for (const Job& job : jobs[i]) {
      workers_[i].models.push({job.number, &ReplicaPool::share(*replicas.at(job.version))});
    }
    if (!wall_ && !jobs[i].empty()) start(static_cast<int>(i));
  }
}

bool RankExecutor::drain(const DrainTimeout& timeout) noexcept {
  if (all_reduce_) all_reduce_->part_if_failed();
  try {
    const bool over = look_until_drained(timeout);
    server_stream_.ref().drain();
    return over;
  } catch (const std::exception&) {
    return false;
  }
}

/// Returns whether nothing is on its way any more.
bool RankExecutor::look_until_drained(const DrainTimeout& timeout) {
  using Clock = std::chrono::steady_clock;
  for (std::size_t worker = 0; worker < workers_.size(); ++worker) forget_all(static_cast<int>(worker));
  const auto may_end = [&](double waited_s) {  // whether any job has time for that yet
    for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
      if (!workers_[worker].flights.empty() && waited_s <= timeout(static_cast<int>(worker))) return true;
    }
    return false;
  };
  const auto began = Clock::now();
  Backoff backoff;
  const auto is_over = [](const WorkerJobs& worker) { return worker.flights.empty(); };
  while (!mail_.at_rest() || !std::ranges::all_of(workers_, is_over)) {
    const std::chrono::duration<double> waited = Clock::now() - began;
    if (wall_ && timeout && !may_end(waited.count())) return false;
    backoff.after(look());
  }
  return true;
}

}  // namespace tardigrad
