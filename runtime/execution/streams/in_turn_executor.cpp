#include "runtime/execution/streams/in_turn_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <utility>

namespace tardigrad {
namespace {

/// Where there is no limit, so many turns are allowed at a time; more than are taken before the next call.
constexpr std::uint64_t far_ahead = std::uint64_t{1} << 30;

Server& server_of(ParameterServer& server) {
  if (auto* const plain = dynamic_cast<Server*>(&server)) return *plain;
  throw std::logic_error("workers take turns at a server on one device");
}

}  // namespace

InTurnExecutor::InTurnExecutor(Objective& objective, const Devices& devices, ServerMemory memory,
                               const ServerOptions& server, const JobOptions& job, Wall wall)
    : WallStreamExecutor(objective, devices, memory, server, job, std::move(wall), slots),
      server_(server_of(StreamExecutor::server())),
      turns_(server_.stream(), objective.dimension(), objective.workers()),
      in_turn_(static_cast<std::size_t>(objective.workers())) {
  if (devices.apart_from_server() || !server.plain_step() || server.resum_every) {
    throw std::logic_error("workers take turns on the server's device, with plain steps and no resums");
  }
  this->wall().events.look_when_woken([this] { poll(); });
}

/// Before what the streams of the base use is gone.
InTurnExecutor::~InTurnExecutor() { InTurnExecutor::drain({}); }

void InTurnExecutor::carry_out(const Orders& orders, double lr) {
  each_arrival_ = orders.each_arrival();
  lr_ = lr;
  WallStreamExecutor::carry_out(orders, lr);
}

void InTurnExecutor::arrive(int worker, const Job& job, Orders& orders, double lr) {
  if (in_turn(worker)) return take_turn(worker, job, orders, lr);
  --told_of_;
  each_arrival_ = orders.each_arrival();
  lr_ = lr;
  WallStreamExecutor::arrive(worker, job, orders, lr);
}

/// All is done already: takes note of it.
void InTurnExecutor::take_turn(int worker, const Job& job, const Orders& orders, double lr) {
  if (!each_arrival_ || orders.for_server() != each_arrival_->of(worker) || lr != lr_) {
    throw std::logic_error(fmt::format(
        "the arrival of job {} of worker {} does not lead to what was foreseen", job.number, worker));
  }
  ++ordered_;
  note_arrival(stream(worker).job(job.number));
  release_oldest(worker);
  Replica& own = *in_turn(worker)->own;
  own.version = orders.version();
  models_of(worker).push({job.number + 1, &ReplicaPool::share(own)});
  server_.set_version(orders.version());
  enqueue(worker, job.number + 2);
}

/// From here on the worker takes turns, where it is known what its arrivals lead to.
Replica& InTurnExecutor::place_model(int worker, std::uint64_t version, bool& fresh) {
  if (!each_arrival_) return WallStreamExecutor::place_model(worker, version, fresh);
  Replica& own = replicas_of(worker).take_own();
  in_turn(worker).emplace(InTurn{&own, {}, 0, 0});
  own.version = version;
  fresh = true;
  return ReplicaPool::share(own);
}

void InTurnExecutor::begin_job(int worker) {
  if (!each_arrival_) return WallStreamExecutor::begin_job(worker);
  const std::uint64_t job = models_of(worker).front().job;
  InTurn& taking = *in_turn(worker);
  Replica* const own = taking.own;
  taking.began = wall().events.now();
  const Actions actions = each_arrival_->of(worker);
  for (std::size_t slot = 0; slot < slots; ++slot) {
    const ArrivedGradient gradient{stream(worker).job(slot).gradient.ref()};
    taking.updates.push_back(server_.as_one_update({actions, lr_, {&own, 1}, &gradient}));
  }
  enqueue(worker, job);
  enqueue(worker, job + 1);
}

void InTurnExecutor::enqueue(int worker, std::uint64_t number) {
  stream(worker).enqueue(number, *in_turn(worker)->own, throttle());
  enqueue_update(worker, number, false);
  in_turn(worker)->enqueued = number;
}

void InTurnExecutor::enqueue_update(int worker, std::uint64_t number, bool again) {
  const StreamRef on = stream(worker).stream();
  turns_.enqueue(on, worker, number, in_turn(worker)->updates[number % slots], again);
  if (wall().completions == Completions::callback) on.notify([&events = wall().events] { events.wake(); });
}

/// The job behind one that was refused, if it is there already, had no model to begin with.
void InTurnExecutor::enqueue_refused() {
  if (held_ || turns_.seen() >= allowed_) return;
  for (int worker = 0; worker < static_cast<int>(in_turn_.size()); ++worker) {
    const auto refused = in_turn(worker) ? turns_.take_refused(worker) : std::nullopt;
    if (!refused) continue;
    const bool has_next = in_turn(worker)->enqueued > *refused;
    if (has_next) stream(worker).job(*refused + 1).cancel();
    enqueue_update(worker, *refused, true);
    if (has_next) enqueue(worker, *refused + 1);
  }
}

/// Asked for in any case: what is complete is not simply an arrival.
std::function<void()> InTurnExecutor::notice(int worker) {
  poll_for(worker);
  if (wall().completions == Completions::polling) return {};
  return [&events = wall().events] { events.wake(); };
}

void InTurnExecutor::poll() {
  tell_of_turns();
  enqueue_refused();
  WallStreamExecutor::poll();
}

void InTurnExecutor::tell_of_turns() {
  while (const auto worker = turns_.next()) {
    double& began = in_turn(*worker)->began;
    began = wall().events.gradient_complete(*worker, began);
  }
}

/// Of a worker that does not take turns yet, among others that do: it comes behind what they have done, and
/// they go on when it has been ordered.
void InTurnExecutor::tell(int worker) {
  hold();
  ++told_of_;
  WallStreamExecutor::tell(worker);
}

/// What has been done ahead counts as ordered: the model has it, and its version is to say so.
void InTurnExecutor::apply_planned() {
  hold();
  server_.set_version(server_.version() + turns_.seen() - std::exchange(ordered_, turns_.seen()));
}

void InTurnExecutor::lose(int, bool) { throw std::logic_error("a worker that takes turns cannot be lost"); }

std::vector<std::uint64_t> InTurnExecutor::begin_snapshot(Snapshot&) {
  throw std::logic_error("there are no snapshots of a run whose workers take turns");
}

void InTurnExecutor::restore_jobs(std::span<const std::vector<Job>>, VectorFile&,
                                  std::span<const std::uint64_t>) {
  throw std::logic_error("a run whose workers take turns begins with none");
}

void InTurnExecutor::allow_arrivals(std::uint64_t count) {
  if (told_of_ > 0 || std::ranges::none_of(in_turn_, [](const auto& one) { return one.has_value(); })) return;
  const std::uint64_t allowed = ordered_ + std::min(count, far_ahead);
  const bool enough = allowed == allowed_ || (count >= far_ahead && allowed - allowed_ < far_ahead / 2);
  if (held_ || !enough) {
    turns_.allow(allowed);
    allowed_ = allowed;
    held_ = false;
  }
  enqueue_refused();
}

bool InTurnExecutor::hold() {
  if (!std::exchange(held_, true)) turns_.close();
  tell_of_turns();
  while (turns_.any_left()) {
    check_server();
    std::this_thread::yield();
    tell_of_turns();
  }
  return ordered_ != turns_.seen();
}

void InTurnExecutor::fail(int worker, const DeviceError& error) {
  throw DeviceError(error.device(), told_by(stream(worker).stream(), error));
}

bool InTurnExecutor::drain(const DrainTimeout& timeout) noexcept {
  try {
    if (!std::exchange(held_, true)) turns_.close();
  } catch (const std::exception&) {  // a device that is lost makes no update more
  }
  return WallStreamExecutor::drain(timeout);
}

}  // namespace tardigrad
