#include "kernels/add_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/kernels/backend.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr MemoryFormat channel_major = MemoryFormat::channel_major;
constexpr MemoryFormat channels_last = MemoryFormat::channels_last;

/// Sums of few and of many parts, fewer columns than a block takes at once and more, none of either, rows
/// with what belongs to others between them, and places that are not in the order of the gradient. The
/// gradients lie apart and in another order.
AddedParts some_parts() {
  AddedParts added;
  const auto add = [&](const AddedColumns& columns) { added.columns.at(added.count++) = columns; };
  add({.from = 3, .parts = 1, .stride = 5, .to = 40, .order = {1, 5, 1, channel_major}});
  add({.from = 20, .parts = 7, .stride = 30, .to = 0, .order = {1, 17, 1, channel_major}});
  add({.from = 37, .parts = 7, .stride = 30, .to = 60, .order = {1, 3, 4, channels_last}});
  add({.from = 0, .parts = 0, .stride = 9, .to = 18, .order = {1, 9, 1, channel_major}});
  add({.from = 0, .parts = 4, .stride = 1, .to = 30, .order = {1, 0, 1, channel_major}});
  add({.from = 1, .parts = 1024, .stride = 3, .to = 100, .order = {1, 2, 1, channels_last}});
  add({.from = 300, .parts = 33, .stride = 80, .to = 110, .order = {1, 8, 10, channels_last}});
  return added;
}

/// In double. What no sum goes to stays.
std::vector<float> expected(const AddedParts& added, const std::vector<float>& sums,
                            std::vector<float> gradient) {
  for (std::size_t i = 0; i < added.count; ++i) {
    const AddedColumns& columns = added.columns.at(i);
    for (std::size_t channel = 0; channel < columns.order.channels; ++channel) {
      for (std::size_t pixel = 0; pixel < columns.order.pixels; ++pixel) {
        const bool last = columns.order.format == channels_last;
        const std::size_t number = channel * columns.order.pixels + pixel;
        const std::size_t place = last ? pixel * columns.order.channels + channel : number;
        double sum = 0;
        for (std::size_t part = 0; part < columns.parts; ++part) {
          sum += static_cast<double>(sums.at(columns.from + part * columns.stride + place));
        }
        gradient.at(columns.to + number) = static_cast<float>(sum);
      }
    }
  }
  return gradient;
}

class AddPartsContract : public OnBackend {};

TEST_P(AddPartsContract, AddsTheColumnsOfEach) {
  const std::vector<float> sums = dyadic_numbers<float>(4000, 3);  // whose sums are exact
  const std::vector<float> before(200, -77);
  for (const std::size_t offset : {0, 1}) {
    const Guarded<float> partial_sums(GetParam(), sums, offset);
    const Guarded<float> gradient(GetParam(), before, offset);
    execute(GetParam(), AddParts{some_parts(), partial_sums.data(), gradient.data()});
    EXPECT_TRUE(same_bits(gradient.values(), expected(some_parts(), sums, before)));
    EXPECT_TRUE(same_bits(partial_sums.values(), sums));
  }
}

TEST_P(AddPartsContract, GivesTheBitsOfACpu) {
  const std::vector<float> sums = random_numbers<float>(4000, 4);
  const auto computed = [&](Backend backend) {
    const Guarded<float> partial_sums(backend, sums);
    const Guarded<float> gradient(backend, std::vector<float>(200, -77));
    execute(backend, AddParts{some_parts(), partial_sums.data(), gradient.data()});
    return gradient.values();
  };
  EXPECT_TRUE(same_bits(computed(GetParam()), computed(Backend::cpu)));
}

TEST_P(AddPartsContract, TakesMoreColumnsThanADeviceHasThreadsAndAsManyGradientsAsItMay) {
  constexpr std::size_t columns = 1500;
  AddedParts added;
  for (std::size_t i = 0; i < AddedParts::max_count; ++i) {
    added.columns.at(added.count++) = {
        i * columns, 2, AddedParts::max_count * columns, i * columns, {1, columns, 1, channel_major}};
  }
  const std::size_t all = columns * AddedParts::max_count;
  const std::vector<float> sums = dyadic_numbers<float>(2 * all, 5);
  const Guarded<float> partial_sums(GetParam(), sums);
  const Guarded<float> gradient(GetParam(), std::vector<float>(all, poison));
  execute(GetParam(), AddParts{added, partial_sums.data(), gradient.data()});
  EXPECT_TRUE(same_bits(gradient.values(), expected(added, sums, std::vector<float>(all))));
}

INSTANTIATE_TEST_SUITE_P(Backends, AddPartsContract, every_backend, ::testing::PrintToStringParamName());

TEST(AddParts, RefusesWrongArguments) {
  float value = 0;
  AddedParts one;
  one.count = 1;
  one.columns[0] = {0, 1, 1, 0, {1, 1, 1, channel_major}};
  expect_refused<AddParts>({one, nullptr, &value}, "partial_sums is null");
  expect_refused<AddParts>({one, &value, nullptr}, "gradient is null");
  one.columns[0].order.channels = std::size_t{1} << 32;
  expect_refused<AddParts>({one, &value, &value}, "too many columns");
  one.count = AddedParts::max_count + 1;
  expect_refused<AddParts>({one, &value, &value}, "more than it can take at once");
}

TEST(AddParts, CountsBytesAndFlops) {
  AddParts operation;
  operation.added.count = 2;
  operation.added.columns[0] = {0, 3, 5, 0, {1, 5, 1, channel_major}};
  operation.added.columns[1] = {0, 2, 4, 0, {1, 2, 2, channels_last}};
  EXPECT_EQ(operation.size(), 9U);
  EXPECT_EQ(operation.bytes(), 4 * (15 + 5 + 8 + 4));
  EXPECT_EQ(operation.flops(), 15 + 8);
}

}  // namespace
}  // namespace tardigrad
