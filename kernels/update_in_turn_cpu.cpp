#include <algorithm>
#include <atomic>

#include "kernels/require.h"
#include "kernels/update_in_turn_math.h"

namespace tardigrad {
namespace {

template <typename Number>
using Shared = std::atomic_ref<Number>;

/// Is how many elements a thread has at a time. With a tile, ten workers on two processors wake each other so
/// often that a quarter of their updates is lost.
constexpr std::size_t part = 32 * UpdateInTurn::tile;

/// Waits for the turn before to be over for a part. Its thread is at work.
void await_turn(std::uint32_t& over, std::uint32_t turn) {
  const Shared<std::uint32_t> turns_over(over);
  for (std::uint32_t now = turns_over.load(); now != turn; now = turns_over.load()) turns_over.wait(now);
}

void end_turn(std::uint32_t& over, std::uint32_t turn) {
  const Shared<std::uint32_t> turns_over(over);
  turns_over.store(turn + 1);
  turns_over.notify_all();
}

}  // namespace

void check(const UpdateInTurn& in) {
  check(in.update);
  bool can_be = false;
  visit_switches(in.update, [&]<typename S>(S) { can_be = can_be_in_turn<S>; });
  require<UpdateInTurn>(can_be,
                        "expected an update that steps and hands over, with a fold that replaces or none");
  require<UpdateInTurn>(in.turns.gate != nullptr && in.turns.over != nullptr && in.turns.order != nullptr,
                        "the turns are null, expected what the streams share");
  require<UpdateInTurn>(in.own != nullptr && in.refused != nullptr,
                        "own or refused is null, expected what the stream has of its own");
}

void check(const LimitTurns& limit) {
  require<LimitTurns>(limit.gate != nullptr && limit.taken != nullptr,
                      "gate or taken is null, expected what the streams share");
}

void UpdateInTurn::run() const {
  if (update.dimension == 0) return;
  check(*this);
  const TurnDecision decision = decide<Shared>(*this);
  if (decision == TurnDecision::refused_now) Shared<std::uint64_t>(*refused).store(job + 1);
  if (decision != TurnDecision::turn) return;
  const std::uint32_t turn = own->turn;
  for (std::size_t i = 0; i < update.dimension; i += part) {
    std::uint32_t& over = turns.over[i / tile];
    await_turn(over, turn);
    update.part(i, std::min(part, update.dimension - i)).run();
    end_turn(over, turn);
  }
  Shared<std::uint64_t>(place_of_turn(turns, turn)).store(entry_of_turn(turn, worker));
}

void LimitTurns::run() const {
  check(*this);
  Shared<std::uint32_t>(*taken).store(set_limit<Shared>(*this));
}

}  // namespace tardigrad
