// Several updates in one pass give the bits of one by one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <utility>
#include <vector>

#include "kernels/server_update.h"
#include "tests/kernels/arrivals.h"
#include "tests/kernels/server_update_cases.h"
#include "tests/support/quick_build.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

class ServerUpdatesInOnePass : public OnBackend {
 protected:
  using Sequence = std::vector<std::pair<std::size_t, Combination>>;  // who arrives, and what that means

  static void compare(const Sequence& sequence, std::size_t dimension, std::size_t offset = 0) {
    SCOPED_TRACE(::testing::Message() << sequence.size() << " updates, d = " << dimension);
    Arrivals apart(GetParam(), dimension, offset);
    Arrivals together(GetParam(), dimension, offset);
    ServerUpdates pass;
    for (const auto& [worker, combination] : sequence) {
      execute(GetParam(), apart.next(worker, combination));
      pass.updates.at(pass.count++) = together.next(worker, combination);
    }
    execute(GetParam(), pass);
    const auto want = apart.values();
    const auto got = together.values();
    for (std::size_t i = 0; i < want.size(); ++i) ASSERT_TRUE(same_bits(got[i], want[i])) << "vector " << i;
  }

  static Sequence all_like(const Combination& combination, std::vector<std::size_t> who) {
    Sequence sequence;
    for (const std::size_t worker : who) sequence.emplace_back(worker, combination);
    return sequence;
  }
};

// The same worker twice, in a row and not.
TEST_P(ServerUpdatesInOnePass, OfOneKind) {
  for (const Combination& combination : every_combination()) {
    SCOPED_TRACE(::testing::Message() << combination);
    for (const std::size_t dimension : {5UL, 1025UL}) {
      compare(all_like(combination, {0, 1, 1, 2, 0}), dimension);
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST_P(ServerUpdatesInOnePass, OfAnyKind) {
  const std::vector<Combination> all = every_combination();
  std::mt19937 random(1);
  for (const std::size_t dimension : {0UL, 1UL, 4UL, 17UL, 1025UL, 2051UL}) {
    for (std::size_t count = 0; count <= ServerUpdates::most; ++count) {
      Sequence sequence;
      while (sequence.size() < count) {
        // Some of a kind follow each other.
        const bool as_before = !sequence.empty() && random() % 3 > 0;
        sequence.emplace_back(random() % row_count,
                              as_before ? sequence.back().second : all[random() % all.size()]);
      }
      compare(sequence, dimension);
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST_P(ServerUpdatesInOnePass, AtAnyAlignment) {
  for (const std::size_t offset : {1U, 2U, 3U}) compare(all_like(dude, {0, 1, 1, 2, 0, 2}), 1027, offset);
}

// Where replicas are stored around the caches of a CPU.
TEST_P(ServerUpdatesInOnePass, OfManyParameters) {
  const std::size_t dimension = GetParam() == Backend::cuda && quick_build ? 2051 : 70'003;
  compare(all_like(dude, {0, 1, 1, 2, 0, 2, 1, 2}), dimension);
  compare(all_like({Fold::exchange, Mean::accumulate, true, true, true}, {0, 1, 1, 2, 0, 2, 1, 2}),
          dimension);
}

TEST(ServerUpdates, AreRefusedWhereTheyHaveNotOneDimension) {
  const std::vector<float> zeros(8);
  std::vector<float> model(8);
  ServerUpdates pass;
  pass.count = 2;
  for (std::size_t i = 0; i < 2; ++i) {
    pass.updates[i].dimension = 7 + i;
    pass.updates[i].gradient = zeros.data();
    pass.updates[i].model = model.data();
    pass.updates[i].step = true;
  }
  expect_refused(pass, "server_updates: the dimensions differ");
  pass.updates[1].dimension = 7;
  pass.updates[1].model = nullptr;
  expect_refused(pass, "model is null");
}

// dude: 32 bytes and 5 operations an element, of which mean and model, 16 bytes, count once.
TEST(ServerUpdates, CountWhatTheyShareOnce) {
  Arrivals arrivals(Backend::cpu, 10, 0);
  ServerUpdates pass;
  EXPECT_EQ(pass.bytes(), 0);
  for (const std::size_t worker : {0U, 1U, 0U}) pass.updates.at(pass.count++) = arrivals.next(worker, dude);
  EXPECT_EQ(pass.bytes(), 10 * (32 + 2 * 16));
  EXPECT_EQ(pass.flops(), 3 * pass.updates.front().flops());
}

INSTANTIATE_TEST_SUITE_P(Backends, ServerUpdatesInOnePass, every_backend,
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace tardigrad
