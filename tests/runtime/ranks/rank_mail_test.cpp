#include "runtime/ranks/rank_mail.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "tests/support/gate.h"
#include "tests/support/thread_ranks.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

TEST(RankMail, SendsEachPartOfAModelWhenItIsWritten) {
  constexpr std::size_t dimension = 10;  // parts of 4, 4 and 2
  ThreadRanks job(2);
  std::vector<float> values(dimension);
  std::iota(values.begin(), values.end(), 1.0F);
  Replica replica(host_view(values.data(), dimension), Device{}, 4);
  ASSERT_EQ(replica.parts_written.size(), 2U);
  Gate gate;
  Stream server(Device{}, "server");
  server.ref().record(replica.parts_written[0]);
  server.ref().host("gate", gate.pass());
  server.ref().record(replica.parts_written[1]);
  server.ref().record(replica.written);
  replica.parts_written[0].synchronize();

  int models_sent = 0;
  RankMail mail(job.rank(0), dimension, {}, {}, {},
                {.on_sent = [&](Replica&) { ++models_sent; },
                 .on_answer = [](const RankAnswer&, Landing*, const std::string&) {}});
  mail.order(1, {.kind = RankOrder::Kind::start, .model = RankOrder::Model::follows}, &replica);

  Transport& there = job.rank(1);
  RankOrder order;
  ASSERT_TRUE(there.done(there.receive(0, tag_order, &order, sizeof(order))));
  EXPECT_EQ(order.part, 4U);
  std::vector<float> received(dimension);
  const auto receive = [&](std::size_t begin, std::size_t size) {
    return there.receive(0, tag_model, received.data() + begin, size * sizeof(float));
  };
  const std::vector<Transport::Transfer> parts = {receive(0, 4), receive(4, 4), receive(8, 2)};
  mail.look();
  EXPECT_TRUE(there.done(parts[0]));
  EXPECT_FALSE(there.done(parts[1])) << "the server has not written it";
  EXPECT_EQ(models_sent, 0);

  gate.open();
  replica.written.synchronize();
  mail.look();
  for (const Transport::Transfer part : parts) EXPECT_TRUE(there.done(part));
  EXPECT_EQ(received, values);
  EXPECT_EQ(models_sent, 1);
}

}  // namespace
}  // namespace tardigrad
