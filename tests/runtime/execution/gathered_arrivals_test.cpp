#include "runtime/execution/streams/gathered_arrivals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace tardigrad {
namespace {

class GatheredArrivalsOnStreams : public ::testing::Test {
 protected:
  void add(int worker, std::uint64_t version, std::vector<Replica*> targets) {
    Orders orders;
    orders.begin(version);
    orders.add(Step{});
    orders.hand_over(worker, {0, version + 1});
    gathered_.add(orders, 0.1 * worker, {host_view(&memory_[static_cast<std::size_t>(worker)], 1)}, targets);
  }

  std::vector<float> memory_ = std::vector<float>(4);
  Replica replica_{host_view(memory_.data(), 1), Device{}};
  Replica other_{host_view(memory_.data() + 1, 1), Device{}};
  GatheredArrivals gathered_;
};

TEST_F(GatheredArrivalsOnStreams, AreTakenInTheirOrderAndThenGone) {
  EXPECT_TRUE(gathered_.take().empty());
  add(1, 5, {&replica_});
  add(2, 6, {nullptr});
  EXPECT_EQ(gathered_.size(), 2U);
  EXPECT_EQ(gathered_.version(), 7U);
  const auto all = gathered_.take();
  EXPECT_EQ(gathered_.size(), 0U);
  ASSERT_EQ(all.size(), 2U);
  for (int worker = 1; worker <= 2; ++worker) {
    const ArrivalActions& one = all[static_cast<std::size_t>(worker) - 1];
    EXPECT_EQ(one.actions, (Actions{Step{}, HandOver{worker}}));
    EXPECT_EQ(one.lr, 0.1 * worker);
    EXPECT_EQ(one.gradient->values.data(), &memory_[static_cast<std::size_t>(worker)]);
  }
  EXPECT_THAT(all[0].replicas, ::testing::ElementsAre(&replica_));
  EXPECT_THAT(all[1].replicas, ::testing::ElementsAre(nullptr));
}

TEST_F(GatheredArrivalsOnStreams, KnowWhichReplicasTheyWrite) {
  add(1, 5, {nullptr, &replica_});
  EXPECT_TRUE(gathered_.writes(replica_));
  EXPECT_FALSE(gathered_.writes(other_));
  gathered_.take();
  EXPECT_FALSE(gathered_.writes(replica_));
  add(2, 6, {});
  EXPECT_FALSE(gathered_.writes(replica_));
}

}  // namespace
}  // namespace tardigrad
