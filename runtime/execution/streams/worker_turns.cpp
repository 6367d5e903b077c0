#include "runtime/execution/streams/worker_turns.h"

#include <algorithm>
#include <atomic>
#include <bit>

namespace tardigrad {
namespace {

/// Returns how many turns there can be that the host has not seen: of each worker that of a job and of the
/// next one.
std::uint32_t most_unseen(int workers) { return std::bit_ceil(2 * static_cast<std::uint32_t>(workers) + 1); }

}  // namespace

WorkerTurns::WorkerTurns(StreamRef server, std::size_t dimension, int workers)
    : server_(server),
      workers_(static_cast<std::uint32_t>(workers)),
      capacity_(most_unseen(workers)),
      gate_(server, 1),
      over_(server, UpdateInTurn::tiles(dimension)),
      own_(server, workers_),
      order_(server.device(), capacity_),
      refused_(server.device(), workers_),
      taken_on_device_(server.device(), 1) {
  server.zero(gate_.ref());
  server.zero(over_.ref());
  server.zero(own_.ref());
  server.synchronize();  // from here on any stream may use them
  std::fill_n(order_.data(), capacity_, 0);
  std::fill_n(refused_.data(), workers_, 0);
}

void WorkerTurns::enqueue(StreamRef stream, int worker, std::uint64_t job, const ServerUpdate& update,
                          bool again) {
  UpdateInTurn in;
  in.update = update;
  in.turns = {gate_.ref().data(), over_.ref().data(), order_.data(), capacity_};
  in.own = own_.ref().data() + worker;
  in.refused = refused_.data() + worker;
  in.job = job;
  in.worker = static_cast<std::uint32_t>(worker);
  in.streams = workers_;
  in.again = again;
  stream.enqueue(in);
}

void WorkerTurns::allow(std::uint64_t turns) {
  server_.enqueue(
      LimitTurns{gate_.ref().data(), false, static_cast<std::uint32_t>(turns), taken_on_device_.data()});
}

/// Since the last turn that was seen fewer have been taken than would go round.
void WorkerTurns::close() {
  server_.enqueue(LimitTurns{gate_.ref().data(), true, 0, taken_on_device_.data()});
  server_.synchronize();
  taken_ = seen_ + (*taken_on_device_.data() - static_cast<std::uint32_t>(seen_));
}

std::optional<int> WorkerTurns::next() {
  const std::uint64_t entry =
      std::atomic_ref(order_.data()[seen_ % capacity_]).load(std::memory_order_acquire);
  const std::int64_t worker = worker_of_turn(entry, seen_);
  if (worker < 0) return std::nullopt;
  ++seen_;
  return static_cast<int>(worker);
}

std::optional<std::uint64_t> WorkerTurns::take_refused(int worker) {
  const std::atomic_ref refused(refused_.data()[worker]);
  const std::uint64_t job = refused.load(std::memory_order_acquire);
  if (job == 0) return std::nullopt;
  refused.store(0);
  return job - 1;
}

}  // namespace tardigrad
