#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <stdexcept>

#include "kernels/mean_of_rows.h"
#include "tests/kernels/server_update_cases.h"

/// What ServerUpdate promises about rows in bf16 beyond what server_update_test.cpp asks of every row, and
/// about many rows.

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

class ServerUpdateRows : public OnBackend {};

TEST_P(ServerUpdateRows, RoundsAnyBitsToBf16AndKeepsNan) {
  std::mt19937 random(3);
  Vectors before = random_vectors(4099);
  for (float& value : before.gradient) {
    value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));  // subnormals, −0, infinities, NaNs
  }
  before.gradient[5] = std::bit_cast<float>(0x7F800001U);     // a NaN by its last bit alone
  before.gradient[4098] = std::bit_cast<float>(0x7FFFFFFFU);  // one that rounding would carry away
  for (const Mean mean : {Mean::none, Mean::accumulate}) {
    const Combination combination{Fold::replace, mean, true, true, true, true};
    const std::vector<float> row = updated({GetParam(), false}, combination, before).row;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const float want = nearest_bf16(before.gradient[i]);
      ASSERT_TRUE(std::isnan(want) ? std::isnan(row[i]) : same_bits<float>({row[i]}, {want}))
          << "element " << i;
    }
  }
}

template <typename Row>
ServerUpdate update_of(Row* row) {
  ServerUpdate update;
  if constexpr (std::is_same_v<Row, Bf16>) {
    update.row_bf16 = row;
  } else {
    update.row = row;
  }
  return update;
}

template <typename Row>
MeanOfRows mean_of(const Row* const* rows) {
  MeanOfRows mean;
  if constexpr (std::is_same_v<Row, Bf16>) {
    mean.rows_bf16 = rows;
  } else {
    mean.rows = rows;
  }
  return mean;
}

/// The relative distance between the moved mean and the exact one after some arrivals.
template <typename Row>
double drift_after(Backend backend, std::size_t arrivals) {
  constexpr std::size_t dimension = 1023;
  constexpr std::size_t workers = 7;
  const Guarded<Row> table(backend, std::vector<Row>(dimension * workers));
  const Guarded<float> mean(backend, std::vector<float>(dimension));
  const Guarded<double> drift(backend, std::vector<double>(2));
  std::vector<const Row*> pointers;
  for (std::size_t worker = 0; worker < workers; ++worker) {
    pointers.push_back(table.data() + worker * dimension);
  }
  for (std::size_t arrival = 0; arrival < arrivals; ++arrival) {
    std::vector<float> values = random_vectors(dimension + arrival).gradient;
    values.resize(dimension);
    const Guarded<float> gradient(backend, values);
    ServerUpdate update = update_of(table.data() + arrival % workers * dimension);
    update.dimension = dimension;
    update.gradient = gradient.data();
    update.mean = mean.data();
    update.fold = arrival % 3 == 0 ? Fold::average : Fold::replace;
    update.fold_weight = 0.3F;
    update.mean_update = Mean::accumulate;
    update.mean_weight = 1 / static_cast<float>(workers);
    execute(backend, update);
  }
  const Guarded<const Row*> rows(backend, pointers);
  MeanOfRows exact = mean_of(rows.data());
  exact.dimension = dimension;
  exact.count = workers;
  exact.mean = mean.data();
  exact.drift = drift.data();
  execute(backend, exact);
  return std::sqrt(drift.values()[0] / drift.values()[1]);
}

TEST_P(ServerUpdateRows, KeepsTheMeanOfTheRowsAsTheyAreStored) {
  // An arrival rounds the mean, which has the size of the exact one, its change, at most 2/7 of a row and so
  // of that size too, and 1/7: 2^-22 is more than their sum. Rounding the rows alone would leave 2^-10.
  constexpr std::size_t arrivals = 100;
  EXPECT_LT(drift_after<float>(GetParam(), arrivals), arrivals * 0x1p-22);
  EXPECT_LT(drift_after<Bf16>(GetParam(), arrivals), arrivals * 0x1p-22);
}

INSTANTIATE_TEST_SUITE_P(Backends, ServerUpdateRows, every_backend, ::testing::PrintToStringParamName());

class Bf16Row : public ::testing::Test {
 protected:
  Bf16Row() {
    update_.dimension = 1;
    update_.gradient = &values_[0];
    update_.mean = &values_[1];
    update_.model = &values_[2];
    update_.row_bf16 = &row_;
    update_.fold = Fold::average;
    update_.mean_update = Mean::accumulate;
    update_.step = true;
  }

  float values_[3] = {};
  Bf16 row_{};
  ServerUpdate update_;
};

TEST_F(Bf16Row, IsRefusedBesideARowOfFp32) {
  update_.row = values_;
  expect_refused(update_, "both row and row_bf16");
  update_.fold = Fold::none;  // then neither is used
  EXPECT_NO_THROW(update_.run());
}

TEST_F(Bf16Row, IsNotExchanged) {
  for (const Mean mean : {Mean::none, Mean::accumulate}) {
    update_.fold = Fold::exchange;
    update_.mean_update = mean;
    expect_refused(update_, "cannot be exchanged");
  }
}

TEST_F(Bf16Row, HasNoNaiveUpdate) {
  float scratch = 0;
  const auto throws = ::testing::ThrowsMessage<std::logic_error>(::testing::HasSubstr("no naive update"));
  EXPECT_THAT([&] { run_naive(update_, &scratch); }, throws);
#if TARDIGRAD_CUDA
  EXPECT_THAT([&] { launch_naive(update_, &scratch, nullptr); }, throws);
#endif
}

TEST_F(Bf16Row, MovesTwoBytesANumber) {
  update_.dimension = 1000;
  EXPECT_EQ(update_.bytes(), 24000);
  EXPECT_EQ(update_.flops(), 8000);
  update_.mean_update = Mean::none;
  update_.fold = Fold::replace;  // g → T, read ū, x → x
  EXPECT_EQ(update_.bytes(), 18000);
}

}  // namespace
}  // namespace tardigrad
