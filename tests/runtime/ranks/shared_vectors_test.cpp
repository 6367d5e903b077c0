// Memory that ranks have in common.

#include "runtime/ranks/shared_vectors.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "runtime/ranks/blocking.h"
#include "runtime/ranks/messages.h"
#include "tests/support/thread_ranks.h"

namespace tardigrad {
namespace {

using ::tardigrad::testing::ThreadRanks;

/// Does on another rank what RankWorker does with such an order.
std::optional<SharedVectors> accept_when_ordered(Transport& rank, std::size_t dimension) {
  RankOrder order;
  blocking_receive(rank, 0, tag_order, &order, sizeof(order));
  EXPECT_EQ(order.kind, RankOrder::Kind::share);
  return SharedVectors::accept(rank, dimension);
}

TEST(SharedVectors, WhatOneRankWritesAnotherReads) {
  ThreadRanks job(4);
  std::jthread there([&job] {
    const auto vectors = accept_when_ordered(job.rank(3), 100);
    ASSERT_TRUE(vectors);
    EXPECT_EQ(vectors->size(), 5U);
    vectors->at(0).data()[99] = 1.5F;
    vectors->at(4).data()[99] = 2.5F;
    constexpr int written = 1;
    blocking_send(job.rank(3), 0, 100, &written, sizeof(written));
  });
  const auto vectors = SharedVectors::offer(job.rank(0), {3}, 100, 5);
  ASSERT_TRUE(vectors);
  EXPECT_TRUE(vectors->are_on(3));
  EXPECT_FALSE(vectors->are_on(1));
  int written = 0;
  blocking_receive(job.rank(0), 3, 100, &written, sizeof(written));
  EXPECT_EQ(vectors->at(0).data()[99], 1.5F);
  EXPECT_EQ(vectors->at(4).data()[99], 2.5F);
  EXPECT_EQ(vectors->at(4).size(), 100U);
}

TEST(SharedVectors, KnowWhichOfThemBeginsWhere) {
  ThreadRanks job(2);
  std::jthread there([&job] { static_cast<void>(accept_when_ordered(job.rank(1), 10)); });
  const auto vectors = SharedVectors::offer(job.rank(0), {1}, 10, 3);
  ASSERT_TRUE(vectors);
  for (const std::uint32_t i : {0U, 1U, 2U}) EXPECT_EQ(vectors->index_of(vectors->at(i).data()), i);
  const float elsewhere = 0;
  EXPECT_EQ(vectors->index_of(&elsewhere), std::nullopt);
  EXPECT_EQ(vectors->index_of(vectors->at(2).data() + 16), std::nullopt);
}

TEST(SharedVectors, OfAnotherSizeAreNotMapped) {
  ThreadRanks job(3);
  std::jthread there([&job] { EXPECT_FALSE(accept_when_ordered(job.rank(1), 5000)); });
  EXPECT_FALSE(SharedVectors::offer(job.rank(0), {1}, 10, 3));
}

TEST(SharedVectors, ThatAreNotToBeHadAreDoneWithout) {
  ThreadRanks job(2);
  std::jthread there([&job] { EXPECT_FALSE(accept_when_ordered(job.rank(1), 1000)); });
  EXPECT_FALSE(SharedVectors::offer(job.rank(0), {1}, 1000, std::size_t{1} << 40));
}

}  // namespace
}  // namespace tardigrad
