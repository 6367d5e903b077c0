#pragma once

#include <cstdint>
#include <limits>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "kernels/server_update.h"
#include "kernels/server_update_naive.h"
#include "tests/kernels/backend.h"
#include "tests/kernels/bf16_reference.h"

/// What the tests of ServerUpdate have in common: every combination of its switches, inputs, the answer in
/// float64 worked out from the equations in server_update.h, and the ways to compute it.

namespace tardigrad::testing {

struct Combination {
  Fold fold;
  Mean mean;
  bool step;
  bool along_mean;  ///< of a step with Mean::none: along ū instead of g
  bool hand_over;
  bool bf16_row = false;
  Correction correction = Correction::none;

  bool uses_mean() const { return mean != Mean::none || (step && along_mean); }
  bool writes_row() const { return fold == Fold::replace || fold == Fold::average; }
  bool uses_row() const {
    const bool moves_mean = mean == Mean::start || mean == Mean::accumulate || fold == Fold::keep;
    return writes_row() || (fold != Fold::none && moves_mean);
  }
  bool uses_gradient() const {
    return fold != Fold::keep && (writes_row() || mean != Mean::none || (step && !along_mean));
  }
  bool corrects() const { return correction != Correction::none; }
  bool starts() const { return correction == Correction::start || correction == Correction::start_keeping; }
  bool keeps() const {
    return correction == Correction::start_keeping || correction == Correction::correct_keeping;
  }
  bool uses_kept() const { return keeps() || correction == Correction::correct_again; }
  bool has_naive_update() const { return !bf16_row && mean != Mean::average && !corrects(); }
};

inline std::ostream& operator<<(std::ostream& out, const Combination& c) {
  const char* const folds[] = {"no fold", "replace", "average", "exchange", "keep"};
  const char* const means[] = {"mean untouched", "mean started", "mean moved", "mean averaged"};
  const char* const corrections[] = {"",
                                     ", start of a correction",
                                     ", start of a correction that keeps",
                                     ", correction",
                                     ", correction that keeps",
                                     ", correction again"};
  return out << folds[static_cast<int>(c.fold)] << ", " << means[static_cast<int>(c.mean)] << ", "
             << (!c.step         ? "no step"
                 : c.uses_mean() ? "step along mean"
                                 : "step along gradient")
             << (c.hand_over ? ", hand-over" : "") << (c.bf16_row ? ", row in bf16" : "")
             << corrections[static_cast<int>(c.correction)];
}

inline constexpr Combination dude{Fold::replace, Mean::accumulate, true, true, true};

/// Of a gradient that takes its row's place: rows that enter the mean, and corrections.
inline std::vector<Combination> every_combination_that_replaces() {
  using enum Correction;
  std::vector<Combination> combinations;
  for (const Fold fold : {Fold::replace, Fold::exchange}) {
    for (const bool hand_over : {false, true}) {
      for (const bool step : {false, true}) {
        combinations.push_back({fold, Mean::average, step, step, hand_over});
        for (const Correction correction : {start, start_keeping, correct, correct_keeping, correct_again}) {
          const Combination one{fold, Mean::accumulate, step, step, hand_over, false, correction};
          if (!(one.keeps() && step)) combinations.push_back(one);
        }
      }
    }
  }
  return combinations;
}

/// Of rows in fp32.
inline std::vector<Combination> every_fp32_combination() {
  std::vector<Combination> combinations = every_combination_that_replaces();
  combinations.push_back({Fold::keep, Mean::average, false, false, false});
  for (const Fold fold : {Fold::none, Fold::replace, Fold::average, Fold::exchange}) {
    for (const Mean mean : {Mean::none, Mean::start, Mean::accumulate}) {
      for (const bool hand_over : {false, true}) {
        const Combination without_step{fold, mean, false, false, hand_over};
        if (without_step.writes_row() || mean != Mean::none || hand_over) {
          combinations.push_back(without_step);
        }
        combinations.push_back({fold, mean, true, true, hand_over});
        if (mean == Mean::none) combinations.push_back({fold, mean, true, false, hand_over});
      }
    }
  }
  return combinations;
}

inline std::vector<Combination> every_combination() {
  std::vector<Combination> combinations = every_fp32_combination();
  for (Combination combination : every_fp32_combination()) {
    if (combination.writes_row() || combination.fold == Fold::keep) {
      combination.bf16_row = true;
      combinations.push_back(combination);
    }
  }
  return combinations;
}

/// The vectors before an update, and also after it.
struct Vectors {
  std::vector<float> gradient, row, mean, model, hand_over, corrected, kept;
};

struct Weights {
  float fold, mean, step, correction;
};
inline constexpr Weights dyadic_weights{0.5F, 0.25F, 0.125F, 0.5F};
inline constexpr Weights odd_weights{1.0F / 3, 0.1F, 0.007F, 0.3F};

template <typename Draw>
Vectors make_vectors(std::size_t dimension, Draw draw) {
  Vectors v;
  for (auto* vector : {&v.gradient, &v.row, &v.mean, &v.model, &v.corrected, &v.kept}) {
    vector->resize(dimension);
    std::generate(vector->begin(), vector->end(), draw);
  }
  v.hand_over.assign(dimension, poison);
  return v;
}

/// Multiples of 1/8 in [−2, 2): with the dyadic weights above every result is exact in fp32, and a row in
/// bf16, in whatever order it is computed.
inline Vectors dyadic_vectors(std::size_t dimension) {
  std::minstd_rand random(static_cast<unsigned>(dimension) + 1);
  return make_vectors(dimension,
                      [&] { return static_cast<float>(static_cast<int>(random() >> 8 & 31U) - 16) / 8; });
}

inline Vectors random_vectors(std::size_t dimension) {
  std::mt19937 random(static_cast<unsigned>(dimension) + 1);
  return make_vectors(dimension, [&] { return std::uniform_real_distribution<float>(-1, 1)(random); });
}

/// With a row that its type can hold.
inline Vectors random_vectors(std::size_t dimension, const Combination& c) {
  Vectors v = random_vectors(dimension);
  if (c.bf16_row) std::transform(v.row.begin(), v.row.end(), v.row.begin(), nearest_bf16);
  return v;
}

/// NaN in every vector that the combination must write without reading it.
inline void poison_outputs(const Combination& c, Vectors& v) {
  if (c.mean == Mean::start) v.mean.assign(v.mean.size(), poison);
  if (c.fold == Fold::replace && (c.mean == Mean::none || c.mean == Mean::average)) {
    v.row.assign(v.row.size(), poison);
  }
  if (c.starts()) v.corrected.assign(v.corrected.size(), poison);
  if (c.keeps()) v.kept.assign(v.kept.size(), poison);
}

/// The equations in float64, rounded at the end. What is not written stays.
inline Vectors expected(const Combination& c, const Vectors& before,
                        const Weights& weights = dyadic_weights) {
  const auto a = static_cast<double>(weights.fold);
  const auto w = static_cast<double>(weights.mean);
  const auto step = static_cast<double>(weights.step);
  Vectors after = before;
  for (std::size_t i = 0; i < before.gradient.size(); ++i) {
    const auto g = static_cast<double>(before.gradient[i]);
    const auto old_row = static_cast<double>(before.row[i]);
    const double row = c.fold == Fold::none || c.fold == Fold::keep ? old_row
                       : c.fold == Fold::average                    ? old_row + a * (g - old_row)
                                                                    : g;
    const double change = c.fold == Fold::none ? g : row - old_row;
    const auto old_model = static_cast<double>(before.model[i]);
    const double start = c.mean == Mean::start ? 0.0 : static_cast<double>(before.mean[i]);
    const double mean = c.mean == Mean::none      ? start
                        : c.mean == Mean::average ? start + w * (row - start)
                                                  : start + w * change;
    const auto old_kept = static_cast<double>(before.kept[i]);
    const double base = c.correction == Correction::correct_again ? old_kept : old_row;
    const double corrected = static_cast<double>(c.starts() ? before.mean[i] : before.corrected[i]) +
                             static_cast<double>(weights.correction) * (g - base);
    const double direction = c.corrects() ? corrected : c.uses_mean() ? mean : g;
    const double model = old_model - (c.step ? step * direction : 0.0);
    if (c.corrects()) after.corrected[i] = static_cast<float>(corrected);
    if (c.keeps()) after.kept[i] = before.row[i];
    after.row[i] = static_cast<float>(c.writes_row() ? row : old_row);
    after.mean[i] = static_cast<float>(mean);
    after.model[i] = static_cast<float>(model);
    if (c.hand_over) after.hand_over[i] = static_cast<float>(model);
  }
  return after;
}

/// How an update is computed: fused or in naive passes, here or there.
struct Way {
  Backend backend;
  bool naive;
};

inline std::ostream& operator<<(std::ostream& out, const Way& way) {
  return out << way.backend << (way.naive ? "_naive" : "");
}

inline void execute(const Way& way, const ServerUpdate& update) {
  if (!way.naive) return execute(way.backend, update);
  const Guarded<float> scratch(way.backend, std::vector<float>(update.dimension, poison));
  if (way.backend == Backend::cpu) run_naive(update, scratch.data());
#if TARDIGRAD_CUDA
  if (way.backend == Backend::cuda) {
    on_cuda_stream([&](CudaStream stream) { launch_naive(update, scratch.data(), stream); });
  }
#endif
  static_cast<void>(scratch.values());  // its guard bands
}

/// Vectors start `offset` floats after an aligned address, each one float further than the one before if
/// `staggered`. Those that the combination does not use are null if `only_needed`.
struct Placement {
  std::size_t offset = 0;
  bool staggered = false;
  bool only_needed = false;
};

inline std::vector<Bf16> narrow_all(const std::vector<float>& values) {
  std::vector<Bf16> narrowed(values.size());
  std::transform(values.begin(), values.end(), narrowed.begin(), [](float x) { return narrow(x); });
  return narrowed;
}

inline std::vector<float> widen_all(const std::vector<Bf16>& values) {
  std::vector<float> widened(values.size());
  std::transform(values.begin(), values.end(), widened.begin(), [](Bf16 x) { return widen(x); });
  return widened;
}

/// Runs one update and returns all vectors after it.
inline Vectors updated(const Way& way, const Combination& c, const Vectors& before,
                       const Placement& placement = {}, const Weights& weights = dyadic_weights) {
  std::size_t offset = placement.offset;
  const auto place = [&](const std::vector<float>& values) {
    const std::size_t here = offset;
    offset += placement.staggered ? 1 : 0;
    return Guarded<float>(way.backend, values, here);
  };
  const Guarded<float> gradient = place(before.gradient);
  const Guarded<Bf16> row_bf16(way.backend, narrow_all(before.row), offset);
  const Guarded<float> row = place(before.row);
  const Guarded<float> mean = place(before.mean);
  const Guarded<float> model = place(before.model);
  const Guarded<float> hand_over = place(before.hand_over);
  const Guarded<float> corrected = place(before.corrected);
  const Guarded<float> kept = place(before.kept);
  const auto given = [&](const Guarded<float>& vector, bool needed) {
    return needed || !placement.only_needed ? vector.data() : nullptr;
  };
  ServerUpdate update;
  update.dimension = before.gradient.size();
  update.gradient = given(gradient, c.uses_gradient());
  update.row = c.bf16_row ? nullptr : given(row, c.uses_row());
  update.row_bf16 = c.bf16_row ? row_bf16.data() : nullptr;
  update.mean = c.step && !c.along_mean ? nullptr : given(mean, c.uses_mean());
  update.model = given(model, c.step || c.hand_over);
  update.hand_over = c.hand_over ? hand_over.data() : nullptr;
  update.corrected = given(corrected, c.corrects());
  update.kept = given(kept, c.uses_kept());
  update.fold = c.fold;
  update.mean_update = c.mean;
  update.correction = c.correction;
  update.step = c.step;
  update.fold_weight = weights.fold;
  update.mean_weight = weights.mean;
  update.correction_weight = weights.correction;
  update.step_size = weights.step;
  execute(way, update);
  return {gradient.values(),  c.bf16_row ? widen_all(row_bf16.values()) : row.values(),
          mean.values(),      model.values(),
          hand_over.values(), corrected.values(),
          kept.values()};
}

inline void expect_same_bits(const Vectors& actual, const Vectors& expected) {
  EXPECT_TRUE(same_bits(actual.gradient, expected.gradient)) << "gradient";
  EXPECT_TRUE(same_bits(actual.row, expected.row)) << "row";
  EXPECT_TRUE(same_bits(actual.mean, expected.mean)) << "mean";
  EXPECT_TRUE(same_bits(actual.model, expected.model)) << "model";
  EXPECT_TRUE(same_bits(actual.hand_over, expected.hand_over)) << "hand-over";
  EXPECT_TRUE(same_bits(actual.corrected, expected.corrected)) << "corrected mean";
  EXPECT_TRUE(same_bits(actual.kept, expected.kept)) << "kept row";
}

}  // namespace tardigrad::testing
