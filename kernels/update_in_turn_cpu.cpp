#include <algorithm>
#include <atomic>

#include "kernels/require.h"
#include "kernels/update_in_turn_math.h"

namespace tardigrad {
namespace {

template <typename Number>
using Shared = std::atomic_ref<Number>;

/// Waits until nobody is at the first tile, or no turn may be taken. Turns that are taken before would bind
/// the processors to one order of threads, whether these run or not, where there are more of them.
void await_free(const Turns& turns) {
  const Shared<std::uint64_t> gate(*turns.gate);
  const Shared<std::uint32_t> turns_over(*turns.over);
  for (std::uint32_t now = turns_over.load(); now != taken_of(gate.load()) && is_open(gate.load());
       now = turns_over.load()) {
    turns_over.wait(now);
  }
}

/// Waits for the turn before to be over for a tile. Its thread is at work.
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
  await_free(turns);
  const TurnDecision decision = decide<Shared>(*this);
  if (decision == TurnDecision::refused_now) Shared<std::uint64_t>(*refused).store(job + 1);
  if (decision != TurnDecision::turn) return;
  const std::uint32_t turn = own->turn;
  for (std::size_t i = 0; i < tiles(update.dimension); ++i) {
    await_turn(turns.over[i], turn);
    update.part(i * tile, std::min(tile, update.dimension - i * tile)).run();
    end_turn(turns.over[i], turn);
  }
  Shared<std::uint64_t>(place_of_turn(turns, turn)).store(entry_of_turn(turn, worker));
}

void LimitTurns::run() const {
  check(*this);
  Shared<std::uint32_t>(*taken).store(set_limit<Shared>(*this));
}

}  // namespace tardigrad
