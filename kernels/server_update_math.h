#pragma once

#include "kernels/multiply_add.h"
#include "kernels/server_update.h"
#include "kernels/visit_constant.h"

/// Holds the arithmetic of ServerUpdate for one element, shared by the CPU and the CUDA kernel, and the way
/// from the switches of a ServerUpdate at run time to the kernel compiled for them.

namespace tardigrad {

/// Says where a step goes: `mean` is the corrected one under a correction.
enum class Direction { none, gradient, mean };

inline Direction direction_of(const ServerUpdate& update) {
  if (!update.step) return Direction::none;
  return update.mean_update == Mean::none && update.mean == nullptr ? Direction::gradient : Direction::mean;
}

/// Returns the fold to compute: an exchange that moves no mean leaves nothing of it.
inline Fold fold_of(const ServerUpdate& update) {
  return update.fold == Fold::exchange && update.mean_update == Mean::none ? Fold::none : update.fold;
}

/// Tells whether the fold is of a row in bf16.
inline bool has_bf16_row(const ServerUpdate& update) {
  return update.row_bf16 != nullptr && fold_of(update) != Fold::none;
}

/// Is the switches of one update as a type, and what follows from them.
template <Fold fold_switch, Mean mean_switch, Correction correction_switch, Direction step_direction,
          bool with_hand_over, bool with_bf16_row>
struct Switches {
  static constexpr Fold fold = fold_switch;
  static constexpr Mean mean = mean_switch;
  static constexpr Correction correction = correction_switch;
  static constexpr Direction direction = step_direction;
  static constexpr bool hand_over = with_hand_over;
  static constexpr bool bf16_row = with_bf16_row;
  using Row = std::conditional_t<bf16_row, Bf16, float>;

  static constexpr bool replaces = fold == Fold::replace || fold == Fold::exchange;
  static constexpr bool corrects = correction != Correction::none;
  static constexpr bool starts = correction == Correction::start || correction == Correction::start_keeping;
  static constexpr bool keeps =
      correction == Correction::start_keeping || correction == Correction::correct_keeping;

  static constexpr bool writes_row = fold == Fold::replace || fold == Fold::average;
  static constexpr bool writes_mean = mean != Mean::none;
  static constexpr bool writes_model = direction != Direction::none;
  static constexpr bool reads_gradient =
      fold != Fold::keep && (writes_row || writes_mean || direction == Direction::gradient);
  static constexpr bool reads_row = fold == Fold::average || fold == Fold::keep ||
                                    (fold != Fold::none && (mean == Mean::start || mean == Mean::accumulate));
  static constexpr bool reads_mean = mean == Mean::accumulate || mean == Mean::average ||
                                     (mean == Mean::none && direction == Direction::mean);
  static constexpr bool reads_corrected = corrects && !starts;
  static constexpr bool reads_kept = correction == Correction::correct_again;
  static constexpr bool reads_model = writes_model || hand_over;

  /// Say what goes together: a mean that moves is the direction, and something must be written.
  static constexpr bool averages_validly =
      mean == Mean::average ? replaces || fold == Fold::keep : fold != Fold::keep;
  static constexpr bool corrects_validly =
      !corrects || (replaces && mean == Mean::accumulate && !(keeps && writes_model));
  static constexpr bool valid =
      !(writes_mean && direction == Direction::gradient) && (writes_row || writes_mean || reads_model) &&
      (fold != Fold::exchange || (writes_mean && !bf16_row)) && (fold != Fold::none || !bf16_row) &&
      (fold != Fold::keep || !reads_model) && averages_validly && corrects_validly;

  static constexpr std::size_t bytes =
      sizeof(Row) * (reads_row + writes_row) +
      sizeof(float) * (reads_gradient + reads_mean + reads_corrected + reads_kept + reads_model +
                       writes_mean + corrects + keeps + writes_model + hand_over);
  /// Counts the operations of an element: g − T, the average's fused multiply-add and T' − T; then w c or the
  /// mean's; the correction's, with g − K; then the step's.
  static constexpr int flops = (reads_row && fold != Fold::keep ? 1 : 0) +
                               (fold == Fold::average ? 2 + (writes_mean ? 1 : 0) : 0) +
                               (writes_mean ? (mean == Mean::start ? 1 : 2) : 0) +
                               (mean == Mean::average ? 1 : 0) + (corrects ? 3 : 0) + (writes_model ? 2 : 0);
};

struct Weights {
  float fold;
  float mean;
  float correction;
  float step;
};

inline Weights weights_of(const ServerUpdate& update) {
  return {update.fold_weight, update.mean_weight, update.correction_weight, update.step_size};
}

/// Holds one element's operands in registers. `Value` is float, or a vector register of floats.
template <typename Value>
struct Element {
  Value gradient;
  Value row;
  Value mean;
  Value corrected;
  Value kept;
  Value model;
};

/// Turns ū, s, K into s', K' as the switches say, before T and ū change.
template <typename S, typename Value>
TARDIGRAD_HOST_DEVICE void correct_element(const Weights& weights, Element<Value>& e) {
  const Value base = S::reads_kept ? e.kept : e.row;
  e.corrected = multiply_add(weights.correction, e.gradient - base, S::starts ? e.mean : e.corrected);
  e.kept = base;
}

/// Turns g, T, ū, s, K, x into T', ū', s', K', x' as the switches say. What they do not use is neither read
/// nor written.
template <typename S, typename Value>
TARDIGRAD_HOST_DEVICE void update_element(const Weights& weights, Element<Value>& e) {
  if constexpr (S::corrects) correct_element<S>(weights, e);
  [[maybe_unused]] Value change = e.gradient;
  if constexpr (S::fold != Fold::none && S::fold != Fold::keep) {
    Value folded = e.gradient;
    if constexpr (S::fold == Fold::average) folded = multiply_add(weights.fold, e.gradient - e.row, e.row);
    if constexpr (S::bf16_row) folded = round_to_bf16(folded);
    change = folded - e.row;  // not a·(g − T): the mean follows the row as it was rounded, and drifts less
    e.row = folded;
  }
  if constexpr (S::mean == Mean::start) {
    e.mean = weights.mean * change;
  } else if constexpr (S::mean == Mean::accumulate) {
    e.mean = multiply_add(weights.mean, change, e.mean);
  } else if constexpr (S::mean == Mean::average) {
    e.mean = multiply_add(weights.mean, e.row - e.mean, e.mean);
  }
  if constexpr (S::direction == Direction::gradient) {
    e.model = multiply_add(-weights.step, e.gradient, e.model);
  } else if constexpr (S::direction == Direction::mean) {
    e.model = multiply_add(-weights.step, S::corrects ? e.corrected : e.mean, e.model);
  }
}

/// Returns the row that the switches are about, of its type.
template <typename S>
TARDIGRAD_HOST_DEVICE typename S::Row* row_of(const ServerUpdate& update) {
  if constexpr (S::bf16_row) {
    return update.row_bf16;
  } else {
    return update.row;
  }
}

/// Calls `visit` with the Switches of `update`. It does nothing if they are not valid.
template <typename Visit>
void visit_switches(const ServerUpdate& update, const Visit& visit) {
  using enum Correction;
  const auto visit_others = [&](auto fold, auto mean, auto correction) {
    visit_constant<Direction::none, Direction::gradient, Direction::mean>(
        direction_of(update), [&](auto direction) {
          visit_constant<false, true>(update.hand_over != nullptr, [&](auto hand_over) {
            visit_constant<false, true>(has_bf16_row(update), [&](auto bf16_row) {
              using S =
                  Switches<decltype(fold)::value, decltype(mean)::value, decltype(correction)::value,
                           decltype(direction)::value, decltype(hand_over)::value, decltype(bf16_row)::value>;
              if constexpr (S::valid) visit(S{});
            });
          });
        });
  };
  visit_constant<Fold::none, Fold::replace, Fold::average, Fold::exchange, Fold::keep>(
      fold_of(update), [&](auto fold) {
        visit_constant<Mean::none, Mean::start, Mean::accumulate, Mean::average>(
            update.mean_update, [&](auto mean) {
              visit_constant<none, start, start_keeping, correct, correct_keeping, correct_again>(
                  update.correction, [&](auto correction) { visit_others(fold, mean, correction); });
            });
      });
}

/// Throws std::logic_error as server_update.h says.
void check(const ServerUpdate& update);

/// Tells whether two updates, one behind the other, may be of one kernel that keeps mean and model in
/// registers.
bool share_kernel(const ServerUpdate& one, const ServerUpdate& next);

}  // namespace tardigrad
