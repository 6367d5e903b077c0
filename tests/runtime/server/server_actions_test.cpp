// Whatever actions a method may ask for, in any order, against plain loops.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/runtime/device/backends.h"
#include "tests/runtime/server/any_actions.h"
#include "tests/runtime/server/server_rig.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr int workers = AnyActions::workers;

class ServerActions : public BackendTest {
 protected:
  /// Some random sequences of arrivals. Every number must be exact in float, or the test says so.
  static void compare(const ServerOptions& options, double lr, int arrivals,
                      const ServerMemory& memory = {.tables = 2, .mean = true}) {
    for (unsigned seed = 0; seed < 60; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      AnyActions any(seed, true, memory.corrected);
      ServerRig rig(Stream(device(), "server"), server_dimension, workers, memory, options);
      ServerReference reference(server_dimension, workers, memory, options);
      reference.model = any.small_gradient();
      rig.set_model(reference.model);
      for (int i = 0; i < arrivals && !HasFailure(); ++i) compare_arrival(any, rig, reference, lr);
    }
  }

 private:
  static void compare_arrival(AnyActions& any, ServerRig& rig, ServerReference& reference, double lr) {
    const Vector gradient = any.small_gradient();
    const Actions actions = any.next();
    const std::vector<bool> left_out = any.left_out();
    std::vector<Vector> before;
    for (std::size_t i = 0; i < left_out.size(); ++i) before.push_back(rig.replica(i));
    reference.apply(actions, lr, gradient);
    rig.apply(actions, lr, gradient, false, left_out);
    ASSERT_TRUE(is_exact(reference.model)) << "the test asks for more bits than a float has";
    ASSERT_EQ(rig.model(), reference.model);
    for (std::size_t i = 0; i < reference.handed_over.size(); ++i) {
      if (left_out[i]) {
        ASSERT_TRUE(before[i].empty() || rig.replica(i) == before[i]);
      } else {
        ASSERT_EQ(rig.replica(i), reference.handed_over[i]);
      }
    }
  }

  static bool is_exact(const Vector& values) {
    return std::all_of(values.begin(), values.end(),
                       [](double value) { return static_cast<double>(static_cast<float>(value)) == value; });
  }
};

TEST_P(ServerActions, PlainSteps) { compare({}, 0.5, 10); }

TEST_P(ServerActions, PlainStepsWithResums) { compare({.resum_every = 3}, 0.5, 10); }

TEST_P(ServerActions, StepsWithMomentum) { compare({.momentum = 0.5}, 0.5, 6); }

TEST_P(ServerActions, StepsWithWeightDecay) { compare({.weight_decay = 0.5}, 0.5, 4); }

TEST_P(ServerActions, StepsWithMomentumAndWeightDecay) {
  compare({.momentum = 0.5, .weight_decay = 0.5}, 0.5, 3);
}

// Nothing is as long as this: the way of the clipped step, and nothing clipped.
TEST_P(ServerActions, StepsThatAreNotClipped) { compare({.clip_norm = 1e6}, 0.5, 10); }

// Numbers of at most eight bits, which bf16 has, after no more than four folds into a row.
TEST_P(ServerActions, PlainStepsWithRowsInBf16) { compare({.table_type = TableType::bf16}, 0.5, 4); }

constexpr ServerMemory corrected{.tables = 2, .mean = true, .corrected = true, .kept_rows = workers};

TEST_P(ServerActions, PlainStepsAlongACorrectedMean) { compare({}, 0.5, 10, corrected); }

TEST_P(ServerActions, StepsWithMomentumAlongACorrectedMean) { compare({.momentum = 0.5}, 0.5, 6, corrected); }

TEST_P(ServerActions, StepsThatAreNotClippedAlongACorrectedMean) {
  compare({.clip_norm = 1e6}, 0.5, 10, corrected);
}

TEST_P(ServerActions, PlainStepsAlongACorrectedMeanWithRowsInBf16) {
  compare({.table_type = TableType::bf16}, 0.5, 4, corrected);
}

TEST_P(ServerActions, RefuseCorrectionsThatCannotBe) {
  ServerRig rig(Stream(device(), "server"), server_dimension, workers, corrected);
  const auto throws = [&](const Correct& correct) {
    EXPECT_THROW(rig.apply({correct}, 1, Vector(server_dimension)), std::logic_error);
  };
  throws({.worker = 0, .keep = workers});
  throws({.worker = 0, .kept = -1});
  throws({.worker = 0, .keep = 0, .kept = 0});
  throws({.worker = 0, .restart = true, .kept = 0});
  ServerRig without(Stream(device(), "server"), server_dimension, workers, {.tables = 1, .mean = true});
  EXPECT_THROW(without.apply({Correct{}}, 1, Vector(server_dimension)), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(Backends, ServerActions, every_backend(), backend_name);

/// Methods that keep no mean step along the gradient itself.
TEST(ServerWithoutAMean, StepsAlongTheGradientOfTheArrival) {
  for (const ServerOptions& options :
       {ServerOptions{}, ServerOptions{.momentum = 0.5, .weight_decay = 0.5}}) {
    AnyActions any(1, true);
    ServerRig rig(Stream::immediate({}, "server"), server_dimension, workers, {}, options);
    ServerReference reference(server_dimension, workers, {}, options);
    reference.model = any.small_gradient();
    rig.set_model(reference.model);
    for (int i = 0; i < 4; ++i) {
      const Vector gradient = any.small_gradient();
      const Actions actions{HandOver{1}, Step{i % 2 == 0 ? 1 : 0.5}, HandOver{0}, HandOver{3}};
      reference.apply(actions, 0.5, gradient);
      rig.apply(actions, 0.5, gradient);
      ASSERT_EQ(rig.model(), reference.model);
      for (std::size_t h = 0; h < 3; ++h) ASSERT_EQ(rig.replica(h), reference.handed_over[h]);
    }
  }
}

// Any numbers: not rounded alike by chance.
TEST(ExchangedRows, GiveTheBitsOfCopiedOnes) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const ServerMemory memory = seed % 3 == 0 ? corrected : ServerMemory{.tables = 2, .mean = true};
    ServerRig copying(Stream::immediate({}, "server"), server_dimension, workers, memory);
    ServerRig exchanging(Stream::immediate({}, "server"), server_dimension, workers, memory);
    AnyActions any(seed, seed % 2 == 0, memory.corrected);
    const Vector model = any.any_gradient();
    copying.set_model(model);
    exchanging.set_model(model);
    for (int i = 0; i < 20; ++i) {
      const Vector gradient = any.any_gradient();
      const Actions actions = any.next();
      copying.apply(actions, 0.3, gradient);
      exchanging.apply(actions, 0.3, gradient, true);
      ASSERT_EQ(copying.model(), exchanging.model());
      const auto hand_overs =
          static_cast<std::size_t>(std::count_if(actions.begin(), actions.end(), [](const Action& action) {
            return std::holds_alternative<HandOver>(action);
          }));
      for (std::size_t h = 0; h < hand_overs; ++h) ASSERT_EQ(copying.replica(h), exchanging.replica(h));
    }
  }
}

TEST(ExchangedRows, TakeNoCopy) {
  ServerRig rig(Stream::immediate({}, "server"), server_dimension, workers, {.tables = 1, .mean = true});
  rig.set_model(Vector(server_dimension));
  const float* const memory = rig.gradient_memory();
  rig.apply({FoldRow{1}}, 0.5, Vector(server_dimension, 8), true);
  EXPECT_NE(rig.gradient_memory(), memory);
  rig.apply({FoldRow{1}}, 0.5, Vector(server_dimension, 4), true);
  EXPECT_EQ(rig.gradient_memory(), memory);
  rig.apply({FoldRow{1, 0.5F}, Step{}}, 0.5, Vector(server_dimension, 8), true);  // averages must be computed
  EXPECT_EQ(rig.gradient_memory(), memory);
  EXPECT_EQ(rig.model(), Vector(server_dimension, -0.5 * 6 / workers));
}

TEST_P(ServerActions, KnowsWhichRowsCount) {
  ServerRig rig(Stream(device(), "server"), server_dimension, workers, {.tables = 2, .mean = true});
  rig.set_model(Vector(server_dimension));
  rig.apply({CountRow{1, false}, SwapTables{}, CountRow{2, false}, CountRow{3, false}}, 1,
            Vector(server_dimension));
  StateArchive saved;
  rig.server.visit_state(saved);
  EXPECT_EQ(saved.json()["table.main"], (nlohmann::json{1, 1, 0, 0}));
  EXPECT_EQ(saved.json()["table.next"], (nlohmann::json{1, 0, 1, 1}));
  EXPECT_THROW(rig.apply({FoldRow{2}}, 1, Vector(server_dimension)), std::logic_error);

  ServerRig restored(Stream(device(), "server"), server_dimension, workers, {.tables = 2, .mean = true});
  restored.set_model(Vector(server_dimension));
  StateArchive state(saved.json(), "state");
  restored.server.visit_state(state);
  restored.apply({FoldRow{0}, Step{}}, 1, Vector(server_dimension, 8));
  EXPECT_EQ(restored.model(), Vector(server_dimension, -4));
}

TEST(ServerWithoutATable, HasNoRowsToCount) {
  ServerRig rig(Stream::immediate({}, "server"), server_dimension, workers, {.tables = 0, .mean = true});
  EXPECT_THROW(rig.apply({CountRow{}}, 1, Vector(server_dimension)), std::logic_error);
}

/// Of n gradients only m came, whatever the server does with the mean: as if the weights had been 1/m.
TEST_P(ServerActions, AScaledMeanIsThatOfFewerGradients) {
  for (const ServerOptions& options : {ServerOptions{}, ServerOptions{.momentum = 0.5, .weight_decay = 0.25},
                                       ServerOptions{.clip_norm = 16}}) {
    ServerRig scaled(Stream(device(), "server"), 1, workers, {.tables = 0, .mean = true}, options);
    ServerRig told(Stream(device(), "server"), 1, workers, {.tables = 0, .mean = true}, options);
    for (ServerRig* rig : {&scaled, &told}) rig->set_model({2});
    for (int round = 0; round < 3; ++round) {
      for (const bool first : {true, false}) {
        scaled.apply({Accumulate{0.25F, first}}, 0.5, {first ? 8.0 : 24.0});
        told.apply({Accumulate{0.5F, first}}, 0.5, {first ? 8.0 : 24.0});
      }
      scaled.apply({ScaleMean{2}, Step{}}, 0.5, {0});
      told.apply({Step{}}, 0.5, {0});
      EXPECT_EQ(scaled.model(), told.model());
    }
  }
}

// Helper threads may fold by themselves what is lazy.
TEST(LazyFolds, GiveByThemselvesTheBitsOfApply) {
  for (const TableType type : {TableType::f32, TableType::bf16}) {
    for (const bool exchange : {false, true}) {
      const ServerMemory memory{.tables = 2, .mean = true};
      const ServerOptions options{.table_type = type};
      ServerRig applying(Stream::immediate({}, "server"), server_dimension, workers, memory, options);
      ServerRig folding(Stream::immediate({}, "server"), server_dimension, workers, memory, options);
      AnyActions any(1, true);
      for (ServerRig* rig : {&applying, &folding}) rig->set_model(Vector(server_dimension));
      for (int i = 0; i < 40; ++i) {
        const Vector gradient = any.any_gradient();
        const FoldRow fold{i % workers, i % 3 == 0 ? 1 : 0.3F, i % 5 == 0 ? Table::next : Table::main, false};
        applying.apply({fold}, 0.5, gradient);
        folding.fold(fold, gradient, exchange);
        if (i % 7 != 0) continue;
        for (ServerRig* rig : {&applying, &folding}) {
          rig->apply({AverageRows{}, Step{}, SwapTables{}}, 0.5, gradient);
        }
        ASSERT_EQ(folding.model(), applying.model());
      }
    }
  }
}

TEST(ParallelFor, ChangesNoBit) {
  constexpr std::size_t many = 20000;
  const ServerMemory memory{.tables = 1, .mean = true};
  const ServerOptions options{.resum_every = 1};
  ServerRig alone(Stream::immediate({}, "server"), many, workers, memory, options);
  ServerRig sharing(Stream::immediate({}, "server"), many, workers, memory, options, parts_backwards);
  for (ServerRig* rig : {&alone, &sharing}) rig->set_model(Vector(many));
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  Vector gradient(many);
  for (int i = 0; i < 10; ++i) {
    for (double& value : gradient) value = static_cast<double>(normal(random));
    for (ServerRig* rig : {&alone, &sharing}) {
      rig->apply({FoldRow{i % workers, 0.7F}, Step{}, HandOver{0}}, 0.3, gradient);
    }
    ASSERT_EQ(sharing.model(), alone.model());
    ASSERT_EQ(sharing.replica(0), alone.replica(0));
  }
  const double drift = *alone.server.largest_drift();
  EXPECT_GT(drift, 0);
  EXPECT_EQ(sharing.server.largest_drift(), drift);
}

}  // namespace
}  // namespace tardigrad
