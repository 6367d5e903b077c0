// What the server does besides what a method asks for: clipping, and sums made anew.

#include <gtest/gtest.h>

#include <cmath>

#include "tests/runtime/device/backends.h"
#include "tests/runtime/server/server_rig.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// Of norm 2·value.
Vector four_times(double value) {
  Vector values(server_dimension);
  for (const std::size_t e : {0, 8, 17, 36}) values[e] = value;
  return values;
}

class ServerOptionsContract : public BackendTest {
 protected:
  static ServerRig rig(ServerMemory memory, const ServerOptions& options, int workers = 2) {
    return ServerRig(Stream(device(), "server"), server_dimension, workers, memory, options);
  }
};

TEST_P(ServerOptionsContract, LongGradientsAreClippedAndShortOnesAreNot) {
  ServerRig server = rig({}, {.clip_norm = 4});
  server.set_model(Vector(server_dimension, 1));
  Vector expected(server_dimension, 1);
  for (const double value : {8.0, 4.0, 2.0, 1.0, 0.0}) {  // of norms 16, 8, 4, 2, 0
    server.apply({Step{}, HandOver{0}}, 0.5, four_times(value));
    for (const std::size_t e : {0, 8, 17, 36}) expected[e] -= 0.5 * std::min(value, 2.0);
    EXPECT_EQ(server.model(), expected) << value;
    EXPECT_EQ(server.replica(0), expected) << value;
  }
}

// PyTorch's order: clip the direction, add the decay, then the momentum.
TEST_P(ServerOptionsContract, ClippedIsTheDirectionAloneAndBeforeMomentum) {
  const ServerOptions options{.momentum = 0.5, .weight_decay = 0.25, .clip_norm = 4};
  ServerRig server = rig({}, options);
  ServerReference reference(server_dimension, 2, {}, options);
  reference.model = Vector(server_dimension, 8);
  server.set_model(reference.model);
  for (const double value : {8.0, 1.0, -4.0}) {
    const Actions actions{Step{}, HandOver{0}};
    reference.apply(actions, 0.5, four_times(value));
    server.apply(actions, 0.5, four_times(value));
    EXPECT_EQ(server.model(), reference.model);
    EXPECT_EQ(server.replica(0), reference.model);
  }
}

// The direction clipped to norm 4, then PyTorch's AdamW with its own decay, in float64.
TEST_P(ServerOptionsContract, StepsAsAdamWAlongTheMean) {
  const ServerOptions options{
      .optimizer = Optimizer::adamw, .weight_decay = 0.25, .beta1 = 0.5, .beta2 = 0.75, .clip_norm = 4};
  ServerRig server = rig({.tables = 1, .mean = true}, options);
  server.set_model(Vector(server_dimension, 8));
  double m = 0;
  double v = 0;
  double x = 8;
  const std::vector<double> means{8, 1, -4};
  for (std::size_t k = 0; k < means.size(); ++k) {
    constexpr double lr = 0.125;
    // The row of the first of two workers; the other's is 0.
    server.apply({FoldRow{0}, Step{}, HandOver{1}}, lr, four_times(2 * means[k]));
    const double g = std::min(4.0, 2 * std::abs(means[k])) / 2 * (means[k] < 0 ? -1 : 1);
    m = 0.5 * m + 0.5 * g;
    v = 0.75 * v + 0.25 * g * g;
    const auto step = static_cast<double>(k + 1);
    x -= lr * 0.25 * x;
    x -= lr * (m / (1 - std::pow(0.5, step))) / (std::sqrt(v / (1 - std::pow(0.75, step))) + 1e-8);
    EXPECT_NEAR(server.model().at(8), x, 1e-5);  // some roundings of numbers up to 8
    EXPECT_EQ(server.replica(0), server.model());
  }
}

TEST_P(ServerOptionsContract, TheMeanIsClippedNotTheGradientsInIt) {
  ServerRig server = rig({.tables = 1, .mean = true}, {.clip_norm = 4});
  server.set_model(Vector(server_dimension));
  server.apply({FoldRow{0}}, 0.5, four_times(16));
  server.apply({FoldRow{1}, Step{}}, 0.5, four_times(-8));  // mean 4, of norm 8
  EXPECT_EQ(server.model(), four_times(-0.5 * 2));
  server.apply({FoldRow{1}, Step{}}, 0.5, four_times(-14));  // mean 1: as it is, and not what was clipped
  EXPECT_EQ(server.model(), four_times(-0.5 * 3));
}

// 2²⁴ takes the bits away that 1 needs: when it has left again, the mean moved along has lost the 1.
TEST_P(ServerOptionsContract, AResumFindsTheDriftAndMendsIt) {
  ServerRig server = rig({.tables = 1, .mean = true}, {.resum_every = 2});
  server.set_model(Vector(server_dimension));
  EXPECT_EQ(server.server.largest_drift(), std::nullopt);
  server.apply({FoldRow{0}}, 0.5, Vector(server_dimension, 1 << 24));
  server.apply({FoldRow{1}}, 0.5, Vector(server_dimension, 1));
  server.apply({FoldRow{0}, Step{}}, 0.5, Vector(server_dimension, 0));  // version 1: not yet
  EXPECT_EQ(server.model(), Vector(server_dimension, 0));
  EXPECT_EQ(server.server.largest_drift(), std::nullopt);
  server.apply({Step{}, HandOver{0}}, 0.5, Vector(server_dimension, 0));  // version 2: afterwards
  EXPECT_EQ(server.model(), Vector(server_dimension, 0));
  EXPECT_EQ(server.server.largest_drift(), 1);  // |0 − ½| / ½
  server.apply({Step{}}, 0.5, Vector(server_dimension, 0));
  EXPECT_EQ(server.model(), Vector(server_dimension, -0.25));
  server.apply({Step{}}, 0.5,
               Vector(server_dimension, 0));  // version 4: nothing to mend, and the worst is kept
  EXPECT_EQ(server.model(), Vector(server_dimension, -0.5));
  EXPECT_EQ(server.server.largest_drift(), 1);
}

TEST_P(ServerOptionsContract, WithoutDriftItIsZero) {
  ServerRig server = rig({.tables = 1, .mean = true}, {.resum_every = 1});
  server.set_model(Vector(server_dimension));
  server.apply({Step{}}, 0.5, Vector(server_dimension, 3));  // of a mean of zeros
  EXPECT_EQ(server.server.largest_drift(), 0);
  server.apply({FoldRow{0}, Step{}}, 0.5, Vector(server_dimension, 3));
  EXPECT_EQ(server.server.largest_drift(), 0);
}

// Rows in the next table do not count, and what was folded lazily into the main one does.
TEST_P(ServerOptionsContract, AResumNeedsATable) {
  const Stream stream(device(), "server");
  const ServerOptions options{.resum_every = 1};
  EXPECT_THROW(Server(stream, 1, 1, {.mean = true}, options), std::logic_error);
  EXPECT_NO_THROW(Server(stream, 1, 1, {.tables = 1, .mean = true}, options));
}

TEST_P(ServerOptionsContract, AResumSumsTheMainTableAsItIs) {
  ServerRig server = rig({.tables = 2, .mean = true}, {.resum_every = 1});
  server.set_model(Vector(server_dimension));
  server.apply({FoldRow{0, 1, Table::main, false}}, 0.5, Vector(server_dimension, 4));
  server.apply({FoldRow{1, 1, Table::next, false}}, 0.5, Vector(server_dimension, 16));
  server.apply({Step{}}, 0.5, Vector(server_dimension, 0));
  EXPECT_EQ(server.model(), Vector(server_dimension, 0));
  server.apply({SwapTables{}, Step{}}, 0.5, Vector(server_dimension, 0));  // along 4/2; then 16/2
  EXPECT_EQ(server.model(), Vector(server_dimension, -1));
  server.apply({Step{}}, 0.5, Vector(server_dimension, 0));
  EXPECT_EQ(server.model(), Vector(server_dimension, -5));
}

// 257 takes nine bits. The mean follows the row as it is kept, so that nothing drifts.
TEST_P(ServerOptionsContract, RowsInBf16AreRoundedAndTheMeanWithThem) {
  ServerRig server = rig({.tables = 1, .mean = true}, {.table_type = TableType::bf16, .resum_every = 1});
  server.set_model(Vector(server_dimension));
  server.apply({FoldRow{0}, Step{}}, 0.5, Vector(server_dimension, 257));  // row 256
  EXPECT_EQ(server.model(), Vector(server_dimension, -0.5 * 128));
  server.apply({FoldRow{1}, Step{}}, 0.5, Vector(server_dimension, 258));  // exactly
  EXPECT_EQ(server.model(), Vector(server_dimension, -0.5 * (128 + 257)));
  EXPECT_EQ(server.server.largest_drift(), 0);
}

INSTANTIATE_TEST_SUITE_P(Backends, ServerOptionsContract, every_backend(), backend_name);

}  // namespace
}  // namespace tardigrad
