#pragma once

#include "kernels/server_update_math.h"
#include "kernels/update_in_turn.h"

namespace tardigrad {

/// Says what a launch may do. Only an update that is refused now is told of: those behind it are refused,
/// too.
enum class TurnDecision : std::uint32_t { none, turn, refused, refused_now };

inline constexpr std::uint64_t turn_bits = 32;

/// Returns the gate with these turns.
TARDIGRAD_HOST_DEVICE constexpr std::uint64_t gate_of(std::uint32_t limit, std::uint32_t taken) {
  return std::uint64_t{limit} << turn_bits | taken;
}

TARDIGRAD_HOST_DEVICE constexpr std::uint32_t taken_of(std::uint64_t gate) {
  return static_cast<std::uint32_t>(gate);
}

TARDIGRAD_HOST_DEVICE constexpr std::uint64_t with_one_more_taken(std::uint64_t gate) {
  return gate_of(static_cast<std::uint32_t>(gate >> turn_bits), taken_of(gate) + 1);
}

/// Tells whether a turn may be taken. Counts have gone round 2³², so that only their difference says
/// something.
TARDIGRAD_HOST_DEVICE constexpr bool is_open(std::uint64_t gate) {
  const auto limit = static_cast<std::uint32_t>(gate >> turn_bits);
  return static_cast<std::int32_t>(limit - taken_of(gate)) > 0;
}

/// Takes the next turn where one may be taken, and says so in `own`. `Atomic<Number>` refers to a number that
/// all threads of the device share.
template <template <typename> typename Atomic>
TARDIGRAD_HOST_DEVICE TurnDecision decide(const UpdateInTurn& in) {
  TurnOfStream& own = *in.own;
  if (own.waits != 0 && !in.again) return TurnDecision::refused;
  const Atomic<std::uint64_t> gate(*in.turns.gate);
  std::uint64_t seen = gate.load();
  while (is_open(seen)) {
    if (!gate.compare_exchange_weak(seen, with_one_more_taken(seen))) continue;
    own.turn = taken_of(seen);
    own.waits = 0;
    return TurnDecision::turn;
  }
  own.waits = 1;
  return TurnDecision::refused_now;
}

/// Sets the limit, and returns how many turns are taken.
template <template <typename> typename Atomic>
TARDIGRAD_HOST_DEVICE std::uint32_t set_limit(const LimitTurns& limit) {
  const Atomic<std::uint64_t> gate(*limit.gate);
  std::uint64_t seen = gate.load();
  while (!gate.compare_exchange_weak(seen,
                                     gate_of(limit.close ? taken_of(seen) : limit.limit, taken_of(seen)))) {
  }
  return taken_of(seen);
}

/// Returns the place in Turns::order of a turn.
TARDIGRAD_HOST_DEVICE inline std::uint64_t& place_of_turn(const Turns& turns, std::uint32_t turn) {
  return turns.order[turn & (turns.capacity - 1)];
}

/// Returns what worker_of_turn() reads.
TARDIGRAD_HOST_DEVICE inline std::uint64_t entry_of_turn(std::uint32_t turn, std::uint32_t worker) {
  return std::uint64_t{turn + 1} << turn_bits | worker;
}

/// Tells whether an update of these switches can be made in turn.
template <typename S>
inline constexpr bool can_be_in_turn =
    S::writes_model&& S::hand_over && !S::corrects && (S::fold == Fold::none || S::fold == Fold::replace);

/// Checks the arguments, as the next one does. Throws std::logic_error as update_in_turn.h says.
void check(const UpdateInTurn& in);
void check(const LimitTurns& limit);

}  // namespace tardigrad
