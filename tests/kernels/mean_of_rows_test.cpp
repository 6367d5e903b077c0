#include "kernels/mean_of_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

#include "tests/kernels/backend.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// Rows one behind the other, each `length` elements, and a mean that is off.
template <typename Row>
struct Table {
  std::size_t length;
  std::vector<Row> elements;
  std::vector<float> mean;

  std::size_t count() const { return elements.size() / length; }
  const Row& at(std::size_t row, std::size_t column) const { return elements[row * length + column]; }
};

template <typename Row>
Row convert(float value) {
  if constexpr (std::is_same_v<Row, Bf16>) {
    return narrow(round_to_bf16(value));
  } else {
    return value;
  }
}

template <typename Row, typename Draw>
Table<Row> make_table(std::size_t count, std::size_t length, const Draw& draw) {
  Table<Row> table{length, std::vector<Row>(count * length), std::vector<float>(length)};
  std::generate(table.elements.begin(), table.elements.end(), [&] { return convert<Row>(draw()); });
  std::generate(table.mean.begin(), table.mean.end(), draw);
  return table;
}

/// Multiples of 1/8 in [−2, 2): any sum of them is exact.
template <typename Row>
Table<Row> dyadic_table(std::size_t count, std::size_t length) {
  std::minstd_rand random(static_cast<unsigned>(count + length));
  return make_table<Row>(count, length,
                         [&] { return static_cast<float>(static_cast<int>(random() >> 8 & 31U) - 16) / 8; });
}

/// Values of very different size and of both signs, so that float64 rounds nearly every sum, and another
/// order of the rows would leave other bits.
template <typename Row>
Table<Row> random_table(std::size_t count, std::size_t length) {
  std::mt19937 random(static_cast<unsigned>(count + length));
  std::uniform_real_distribution<float> uniform(-1, 1);
  return make_table<Row>(count, length,
                         [&] { return std::ldexp(uniform(random), static_cast<int>(random() % 60) - 30); });
}

struct MeanAndDrift {
  std::vector<float> mean;
  std::vector<double> drift;
};

/// The definition, element by element.
template <typename Row>
MeanAndDrift expected(const Table<Row>& table, std::size_t begin, std::size_t end) {
  MeanAndDrift answer{table.mean, {0, 0}};
  for (std::size_t i = begin; i < end; ++i) {
    double sum = 0;
    for (std::size_t row = 0; row < table.count(); ++row) sum += static_cast<double>(widen(table.at(row, i)));
    answer.mean[i] = static_cast<float>(sum / static_cast<double>(table.count()));
    const auto exact = static_cast<double>(answer.mean[i]);
    answer.drift[0] += std::pow(static_cast<double>(table.mean[i]) - exact, 2);
    answer.drift[1] += exact * exact;
  }
  return answer;
}

/// Over the chunks, in their order.
std::vector<double> added_up(const std::vector<double>& drift) {
  std::vector<double> sums(2);
  for (std::size_t i = 0; i < drift.size(); ++i) sums[i % 2] += drift[i];
  return sums;
}

template <typename Row>
MeanAndDrift computed(Backend backend, const Table<Row>& table, std::size_t begin, std::size_t end,
                      std::size_t alignment_offset = 0) {
  const std::vector<double> poison(2 * MeanOfRows::chunks(end - begin),
                                   std::numeric_limits<double>::quiet_NaN());
  const Guarded<Row> elements(backend, table.elements, alignment_offset);
  const Guarded<float> mean(backend, table.mean, alignment_offset);
  const Guarded<double> drift(backend, poison);
  std::vector<const Row*> pointers;
  for (std::size_t row = 0; row < table.count(); ++row) {
    pointers.push_back(elements.data() + row * table.length);
  }
  const Guarded<const Row*> rows(backend, pointers);
  MeanOfRows operation;
  operation.dimension = end - begin;
  operation.offset = begin;
  operation.count = table.count();
  if constexpr (std::is_same_v<Row, Bf16>) {
    operation.rows_bf16 = rows.data();
  } else {
    operation.rows = rows.data();
  }
  operation.mean = mean.data();
  execute(backend, operation);
  const std::vector<float> without_drift = mean.values();
  EXPECT_TRUE(same_bits(drift.values(), poison));

  const Guarded<float> mean_again(backend, table.mean, alignment_offset);
  operation.mean = mean_again.data();
  operation.drift = drift.data();
  execute(backend, operation);
  EXPECT_TRUE(same_bits(mean_again.values(), without_drift)) << "the drift changes the mean";
  EXPECT_TRUE(same_bits(elements.values(), table.elements));
  EXPECT_TRUE(same_bits(rows.values(), pointers));
  return {without_drift, added_up(drift.values())};
}

/// The same terms in another order: each of the additions rounds by no more than 2^-53 of the sum.
void expect_drift(const MeanAndDrift& got, const MeanAndDrift& want) {
  const double tolerance = static_cast<double>(want.mean.size()) * 0x1p-53;
  EXPECT_NEAR(got.drift[0], want.drift[0], tolerance * want.drift[0]);
  EXPECT_NEAR(got.drift[1], want.drift[1], tolerance * want.drift[1]);
}

class MeanOfRowsContract : public OnBackend {
 protected:
  /// Calls `check` with a Row of either type.
  template <typename Check>
  static void for_each_type(const Check& check) {
    check(float{});
    check(Bf16{});
  }
};

TEST_P(MeanOfRowsContract, IsExactOnDyadicInputs) {
  for_each_type([]<typename Row>(Row) {
    for (const std::size_t count : {1, 2, 4, 8, 16, 64}) {
      const Table<Row> table = dyadic_table<Row>(count, 3001);
      SCOPED_TRACE(::testing::Message() << count << " rows of " << sizeof(Row) << " bytes an element");
      const MeanAndDrift want = expected(table, 0, table.length);
      const MeanAndDrift got = computed(GetParam(), table, 0, table.length);
      EXPECT_TRUE(same_bits(got.mean, want.mean));
      EXPECT_TRUE(same_bits(got.drift, want.drift));
    }
  });
}

TEST_P(MeanOfRowsContract, AddsInTheOrderOfTheRowsAndRoundsOnce) {
  for_each_type([]<typename Row>(Row) {
    for (const std::size_t count : {1, 2, 3, 5, 7, 9, 23, 100}) {
      for (const std::size_t length : {1, 2, 15, 16, 17, 33, 2047, 2048, 2049, 6001}) {
        SCOPED_TRACE(::testing::Message() << count << " rows of " << length);
        const Table<Row> table = random_table<Row>(count, length);
        const MeanAndDrift want = expected(table, 0, length);
        const MeanAndDrift got = computed(GetParam(), table, 0, length, count % 3);
        ASSERT_TRUE(same_bits(got.mean, want.mean));
        expect_drift(got, want);
      }
    }
  });
}

TEST_P(MeanOfRowsContract, WorksOnARangeAndLeavesTheRestAlone) {
  for_each_type([]<typename Row>(Row) {
    const Table<Row> table = random_table<Row>(11, 5003);
    for (const auto& [begin, end] : {std::pair{0UL, 2500UL}, {2500UL, 5003UL}, {17UL, 18UL}, {7UL, 7UL}}) {
      SCOPED_TRACE(::testing::Message() << "elements " << begin << " to " << end);
      EXPECT_TRUE(same_bits(computed(GetParam(), table, begin, end).mean, expected(table, begin, end).mean));
    }
  });
}

TEST_P(MeanOfRowsContract, FindsNoDriftInAnExactMean) {
  Table<float> table = random_table<float>(10, 4099);
  table.mean = expected(table, 0, table.length).mean;
  EXPECT_EQ(computed(GetParam(), table, 0, table.length).drift[0], 0);
}

TEST_P(MeanOfRowsContract, KeepsNanInItsColumn) {
  for_each_type([]<typename Row>(Row) {
    Table<Row> table = dyadic_table<Row>(9, 100);
    table.elements[5 * table.length + 42] = convert<Row>(std::numeric_limits<float>::quiet_NaN());
    MeanAndDrift want = expected(table, 0, table.length);
    MeanAndDrift got = computed(GetParam(), table, 0, table.length);
    EXPECT_TRUE(std::isnan(got.mean[42]));
    EXPECT_TRUE(std::isnan(got.drift[0]));
    EXPECT_TRUE(std::isnan(got.drift[1]));
    got.mean[42] = want.mean[42] = 0;
    EXPECT_TRUE(same_bits(got.mean, want.mean));
  });
}

TEST_P(MeanOfRowsContract, AddsItsDriftInOneOrder) {
  const Table<float> table = random_table<float>(10, 40021);
  const MeanAndDrift first = computed(GetParam(), table, 0, table.length);
  EXPECT_TRUE(same_bits(computed(GetParam(), table, 0, table.length, 1).drift, first.drift));
}

INSTANTIATE_TEST_SUITE_P(Backends, MeanOfRowsContract, every_backend, ::testing::PrintToStringParamName());

TEST(MeanOfRows, RefusesWrongArguments) {
  float value = 0;
  const float* const rows[] = {&value};
  const Bf16* const rows_bf16[] = {nullptr};
  MeanOfRows complete;
  complete.dimension = 1;
  complete.count = 1;
  complete.rows = rows;
  complete.mean = &value;
  MeanOfRows mean = complete;
  mean.count = 0;
  expect_refused(mean, "no rows");
  mean = complete;
  mean.rows = nullptr;
  expect_refused(mean, "rows is null");
  mean = complete;
  mean.rows_bf16 = rows_bf16;
  expect_refused(mean, "one of them");
  mean = complete;
  mean.mean = nullptr;
  expect_refused(mean, "mean is null");
  EXPECT_NO_THROW(complete.run());
}

TEST(MeanOfRows, DoesNothingForNoParameters) {
  EXPECT_NO_THROW(MeanOfRows{}.run());
#if TARDIGRAD_CUDA
  EXPECT_NO_THROW(MeanOfRows{}.launch(nullptr));
#endif
}

TEST(MeanOfRows, CountsBytesAndFlops) {
  const Bf16* const rows_bf16[] = {nullptr};
  double drift[2];
  MeanOfRows mean;
  mean.dimension = 1000;
  mean.count = 10;
  EXPECT_EQ(mean.bytes(), 44000);
  EXPECT_EQ(mean.flops(), 11000);
  mean.rows_bf16 = rows_bf16;
  EXPECT_EQ(mean.bytes(), 24000);
  mean.drift = drift;
  EXPECT_EQ(mean.bytes(), 28000);
  EXPECT_EQ(mean.flops(), 16000);
}

}  // namespace
}  // namespace tardigrad
