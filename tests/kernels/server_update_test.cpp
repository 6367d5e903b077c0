#include "kernels/server_update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "tests/kernels/server_update_cases.h"
#include "tests/support/quick_build.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr std::size_t dimensions[] = {0,  1,  2,  3,  4,    5,    7,    15,   16,     17,     31,
                                      33, 63, 64, 65, 1000, 1023, 1025, 4097, 20'011, 100'003};

/// The contract of ServerUpdate, held by every way of computing it.
class ServerUpdateContract : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (const std::string reason = why_absent(GetParam().backend); !reason.empty()) GTEST_SKIP() << reason;
  }

  /// All that this way can compute.
  static std::vector<Combination> combinations() {
    std::vector<Combination> all = every_combination();
    if (GetParam().naive) std::erase_if(all, [](const Combination& one) { return !one.has_naive_update(); });
    return all;
  }

  /// Emulated GPUs take long for many blocks of threads; 1025 elements are two. Everything of a CPU has had
  /// its turn by 20'011.
  static std::size_t largest() {
    if (!quick_build) return 100'003;
    return GetParam().backend == Backend::cuda ? 1025 : 20'011;
  }
};

TEST_P(ServerUpdateContract, IsExactOnDyadicInputsAndLeavesTheRestAlone) {
  for (const Combination& combination : combinations()) {
    for (const std::size_t dimension : dimensions) {
      if (dimension > largest()) continue;
      SCOPED_TRACE(::testing::Message() << combination << ", d = " << dimension);
      Vectors before = dyadic_vectors(dimension);
      poison_outputs(combination, before);
      expect_same_bits(updated(GetParam(), combination, before), expected(combination, before));
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST_P(ServerUpdateContract, IsExactOnMillionsOfParameters) {
  const Vectors before = dyadic_vectors(quick_build ? 1'000'003 : 10'000'000);
  expect_same_bits(updated(GetParam(), dude, before), expected(dude, before));
}

TEST_P(ServerUpdateContract, IsExactAtAnyAlignment) {
  for (const Combination& combination : combinations()) {
    for (const Placement placement : {Placement{1, false, false},
                                      {2, false, false},
                                      {4, false, false},
                                      {0, true, false},
                                      {3, true, false}}) {
      for (const std::size_t dimension : {3UL, 65UL, std::min<std::size_t>(4097, largest())}) {
        SCOPED_TRACE(::testing::Message() << combination << ", d = " << dimension << ", offset "
                                          << placement.offset << (placement.staggered ? ", staggered" : ""));
        const Vectors before = dyadic_vectors(dimension);
        expect_same_bits(updated(GetParam(), combination, before, placement), expected(combination, before));
        ASSERT_FALSE(HasFailure());
      }
    }
  }
}

TEST_P(ServerUpdateContract, DoesWithoutVectorsItDoesNotUse) {
  for (const Combination& combination : combinations()) {
    SCOPED_TRACE(::testing::Message() << combination);
    const Vectors before = dyadic_vectors(65);
    expect_same_bits(updated(GetParam(), combination, before, {.only_needed = true}),
                     expected(combination, before));
  }
}

void expect_near(const std::vector<float>& actual, const std::vector<float>& expected, float tolerance) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance) << "element " << i;
  }
}

TEST_P(ServerUpdateContract, FollowsFloat64OnRandomInputs) {
  // |g|, |T|, |ū|, |x| ≤ 1, so no intermediate exceeds 2 and a rounding costs at most 2^-24 of that (half a
  // unit in the last place below 2). A result passes at most five roundings, and `expected` itself is rounded
  // once.
  // A row in bf16 is below 1 and rounded by 2^-9 at most, and the mean follows it with a weight below 1.
  for (const Combination& combination : combinations()) {
    SCOPED_TRACE(::testing::Message() << combination);
    const float tolerance = 6 * 0x1p-24F * 2 + (combination.bf16_row ? 0x1p-9F : 0);
    const Vectors before = random_vectors(4099, combination);
    const Vectors want = expected(combination, before, odd_weights);
    const Vectors got = updated(GetParam(), combination, before, {}, odd_weights);
    expect_near(got.row, want.row, tolerance);
    expect_near(got.mean, want.mean, tolerance);
    expect_near(got.model, want.model, tolerance);
    expect_near(got.corrected, want.corrected, tolerance);
    EXPECT_TRUE(same_bits(got.kept, want.kept));
    EXPECT_TRUE(same_bits(got.hand_over, combination.hand_over ? got.model : before.hand_over));
  }
}

TEST_P(ServerUpdateContract, ReplacesTheRowBitForBitWhateverTheBits) {
  std::mt19937 random(3);
  Vectors before = random_vectors(4099);
  for (float& value : before.gradient) {
    value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));  // subnormals, −0, infinities, NaNs
  }
  for (const Mean mean : {Mean::none, Mean::accumulate}) {
    const Combination combination{Fold::replace, mean, true, true, true};
    EXPECT_TRUE(same_bits(updated(GetParam(), combination, before).row, before.gradient));
  }
}

TEST_P(ServerUpdateContract, PassesNanAndInfinityOnAndKeepsThemInTheirPlace) {
  constexpr std::size_t dimension = 37;
  const Combination average{Fold::average, Mean::accumulate, true, true, true};
  for (const Combination& combination : {dude, average}) {
    for (const std::size_t bad : {0UL, 15UL, 16UL, 36UL}) {
      SCOPED_TRACE(::testing::Message() << combination << ", element " << bad);
      Vectors before = dyadic_vectors(dimension);
      Vectors want = expected(combination, before);
      before.gradient[bad] = infinity;
      want.gradient[bad] = want.row[bad] = want.mean[bad] = infinity;
      want.model[bad] = want.hand_over[bad] = -infinity;
      expect_same_bits(updated(GetParam(), combination, before), want);

      before.gradient[bad] = poison;
      const Vectors got = updated(GetParam(), combination, before);
      for (const auto* vector : {&got.row, &got.mean, &got.model, &got.hand_over}) {
        EXPECT_EQ(std::count_if(vector->begin(), vector->end(), [](float x) { return std::isnan(x); }), 1);
        EXPECT_TRUE(std::isnan((*vector)[bad]));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, ServerUpdateContract,
                         ::testing::Values(Way{Backend::cpu, false}, Way{Backend::cpu, true},
                                           Way{Backend::cuda, false}, Way{Backend::cuda, true}),
                         ::testing::PrintToStringParamName());

/// What only the fused update promises.
class FusedServerUpdate : public OnBackend {
 protected:
  static Way way() { return {GetParam(), false}; }
};

Vectors slice(const Vectors& v, std::size_t begin, std::size_t end) {
  const auto part = [&](const std::vector<float>& x) {
    return std::vector<float>(x.begin() + static_cast<std::ptrdiff_t>(begin),
                              x.begin() + static_cast<std::ptrdiff_t>(end));
  };
  return {part(v.gradient),  part(v.row),       part(v.mean), part(v.model),
          part(v.hand_over), part(v.corrected), part(v.kept)};
}

TEST_P(FusedServerUpdate, GivesAnElementTheSameBitsWhereverItStands) {
  for (const Combination& combination : every_combination()) {
    SCOPED_TRACE(::testing::Message() << combination);
    // Large enough to take the CPU's way around the caches; four blocks of threads where a GPU is emulated.
    const std::size_t dimension = quick_build && GetParam() == Backend::cuda ? 4021 : 40021;
    const Vectors before = random_vectors(dimension, combination);
    const Vectors whole = updated(way(), combination, before, {}, odd_weights);
    const std::size_t half = dimension / 2 + 1;
    for (const auto& [begin, end] :
         {std::pair{0UL, half}, {half, dimension}, {5UL, 6UL}, {dimension - 4, dimension - 1}}) {
      expect_same_bits(updated(way(), combination, slice(before, begin, end), {}, odd_weights),
                       slice(whole, begin, end));
    }
  }
}

#if defined(FP_FAST_FMAF)
/// The equations in fp32 with one rounding for each multiply-add, as server_update_math.h has them.
Vectors expected_bits(const Combination& c, const Vectors& before, const Weights& weights) {
  Vectors after = before;
  for (std::size_t i = 0; i < before.gradient.size(); ++i) {
    const float g = before.gradient[i];
    const float row = before.row[i];
    float change = g;
    if (c.corrects()) {
      const float base = c.correction == Correction::correct_again ? before.kept[i] : row;
      after.corrected[i] =
          std::fma(weights.correction, g - base, c.starts() ? before.mean[i] : before.corrected[i]);
      if (c.keeps()) after.kept[i] = row;
    }
    float new_row = row;
    if (c.fold != Fold::none && c.fold != Fold::keep) {
      const float exact = c.fold == Fold::average ? std::fma(weights.fold, g - row, row) : g;
      const float folded = c.bf16_row ? nearest_bf16(exact) : exact;
      after.row[i] = c.writes_row() ? folded : row;
      new_row = folded;
      change = folded - row;
    }
    if (c.mean == Mean::start) after.mean[i] = weights.mean * change;
    if (c.mean == Mean::accumulate) after.mean[i] = std::fma(weights.mean, change, before.mean[i]);
    if (c.mean == Mean::average) {
      after.mean[i] = std::fma(weights.mean, new_row - before.mean[i], before.mean[i]);
    }
    const float direction = c.corrects() ? after.corrected[i] : c.uses_mean() ? after.mean[i] : g;
    if (c.step) after.model[i] = std::fma(-weights.step, direction, before.model[i]);
    if (c.hand_over) after.hand_over[i] = after.model[i];
  }
  return after;
}

TEST_P(FusedServerUpdate, RoundsEveryMultiplyAddOnce) {
  for (const Combination& combination : every_combination()) {
    SCOPED_TRACE(::testing::Message() << combination);
    const Vectors before = random_vectors(40021, combination);
    expect_same_bits(updated(way(), combination, before, {}, odd_weights),
                     expected_bits(combination, before, odd_weights));
  }
}
#endif

TEST_P(FusedServerUpdate, GivesAnExchangeTheBitsOfAReplacement) {
  const Vectors before = random_vectors(40021);
  for (const Combination& combination : every_fp32_combination()) {
    if (combination.fold != Fold::exchange) continue;
    SCOPED_TRACE(::testing::Message() << combination);
    Combination replacement = combination;
    replacement.fold = Fold::replace;
    Vectors want = updated(way(), replacement, before, {}, odd_weights);
    want.row = before.row;
    expect_same_bits(updated(way(), combination, before, {}, odd_weights), want);
  }
}

TEST_P(FusedServerUpdate, KeepsTheMeanOfAllGradientsByAveraging) {
  constexpr std::size_t dimension = 1023;
  constexpr int gradients = 16;
  const Guarded<float> row(GetParam(), std::vector<float>(dimension, poison));
  std::vector<double> sum(dimension);
  for (int count = 0; count < gradients; ++count) {
    const std::vector<float> values = random_vectors(dimension + static_cast<std::size_t>(count)).gradient;
    const Guarded<float> gradient(GetParam(), values);
    ServerUpdate update;
    update.dimension = dimension;
    update.gradient = gradient.data();
    update.row = row.data();
    update.fold = count == 0 ? Fold::replace : Fold::average;
    update.fold_weight = 1 / static_cast<float>(count + 1);
    execute(GetParam(), update);
    std::transform(sum.begin(), sum.end(), values.begin(), sum.begin(), std::plus<>());
  }
  const std::vector<float> mean = row.values();
  for (std::size_t i = 0; i < dimension; ++i) {
    // A fold rounds g − T, a and T', each by at most 2^-23 in all; later folds shrink what earlier ones left.
    ASSERT_NEAR(mean[i], sum[i] / gradients, gradients * 3 * 0x1p-24) << "element " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, FusedServerUpdate, every_backend, ::testing::PrintToStringParamName());

}  // namespace
}  // namespace tardigrad
