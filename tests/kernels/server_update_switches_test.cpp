// What ServerUpdate refuses, and what it says of its work: without a GPU, for arguments are checked before
// CUDA is called.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/kernels/server_update_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

using Compute = void (*)(const ServerUpdate&);

/// Every way to compute, to be refused or to do nothing.
std::vector<Compute> every_call() {
  std::vector<Compute> calls{[](const ServerUpdate& update) { update.run(); },
                             [](const ServerUpdate& update) { run_naive(update, nullptr); }};
#if TARDIGRAD_CUDA
  calls.push_back([](const ServerUpdate& update) { update.launch(nullptr); });
  calls.push_back([](const ServerUpdate& update) { launch_naive(update, nullptr, nullptr); });
#endif
  return calls;
}

void expect_refused_by_all(const ServerUpdate& update, const std::string& text) {
  for (const Compute compute : every_call()) {
    EXPECT_THAT([&] { compute(update); },
                ::testing::ThrowsMessage<std::logic_error>(::testing::HasSubstr(text)));
  }
}

ServerUpdate complete(float* vectors) {
  ServerUpdate update;
  update.dimension = 1;
  update.gradient = &vectors[0];
  update.row = &vectors[1];
  update.mean = &vectors[2];
  update.model = &vectors[3];
  update.hand_over = &vectors[4];
  update.fold = Fold::average;
  update.mean_update = Mean::accumulate;
  update.step = true;
  return update;
}

TEST(ServerUpdate, RefusesAMissingVector) {
  float vectors[5] = {};
  ServerUpdate update = complete(vectors);
  update.gradient = nullptr;
  expect_refused_by_all(update, "gradient is null");
  update = complete(vectors);
  update.row = nullptr;
  expect_refused_by_all(update, "row is null");
  update = complete(vectors);
  update.mean = nullptr;
  expect_refused_by_all(update, "mean is null");
  update = complete(vectors);
  update.fold = Fold::exchange;
  update.row = nullptr;
  expect_refused_by_all(update, "row is null");
  update = complete(vectors);
  update.model = nullptr;
  expect_refused_by_all(update, "model is null");
  update.step = false;
  expect_refused_by_all(update, "model is null");
}

TEST(ServerUpdate, RefusesACorrectionWithoutItsVectors) {
  float vectors[5] = {};
  ServerUpdate update = complete(vectors);
  update.fold = Fold::replace;
  update.correction = Correction::correct_again;
  expect_refused_by_all(update, "corrected is null");
  update.corrected = vectors;
  expect_refused_by_all(update, "kept is null");
}

TEST(ServerUpdate, RefusesSwitchesThatDoNotGoTogether) {
  float vectors[7] = {};
  const auto refused = [&](Fold fold, Mean mean, Correction correction, bool step) {
    ServerUpdate update = complete(vectors);
    update.hand_over = nullptr;
    update.corrected = &vectors[5];
    update.kept = &vectors[6];
    update.fold = fold;
    update.mean_update = mean;
    update.correction = correction;
    update.step = step;
    expect_refused_by_all(update, "that go together");
  };
  refused(Fold::none, Mean::average, Correction::none, true);
  refused(Fold::average, Mean::average, Correction::none, true);
  refused(Fold::keep, Mean::average, Correction::none, true);
  refused(Fold::keep, Mean::accumulate, Correction::none, false);
  refused(Fold::average, Mean::accumulate, Correction::correct, true);
  refused(Fold::replace, Mean::none, Correction::correct, true);
  refused(Fold::replace, Mean::accumulate, Correction::start_keeping, true);
}

TEST(ServerUpdate, HasNoNaiveWayForWhatNoOtherLibraryDoes) {
  float vectors[6] = {};
  ServerUpdate update = complete(vectors);
  update.fold = Fold::replace;
  update.mean_update = Mean::average;
  EXPECT_THROW(run_naive(update, vectors), std::logic_error);
  update.mean_update = Mean::accumulate;
  update.correction = Correction::correct;
  update.corrected = &vectors[5];
  EXPECT_THROW(run_naive(update, vectors), std::logic_error);
}

TEST(ServerUpdate, RefusesAStepAlongNoGradient) {
  float vectors[5] = {};
  ServerUpdate update;
  update.dimension = 1;
  update.model = vectors;
  update.step = true;
  expect_refused_by_all(update, "gradient is null");
}

TEST(ServerUpdate, RefusesToDoNothing) {
  float vectors[5] = {};
  ServerUpdate update = complete(vectors);
  update.hand_over = nullptr;
  update.fold = Fold::none;
  update.mean_update = Mean::none;
  update.step = false;
  expect_refused_by_all(update, "neither fold");
  update.fold = Fold::exchange;  // the caller's alone, without a mean to move
  expect_refused_by_all(update, "neither fold");
}

TEST(ServerUpdate, DoesNothingForNoParameters) {
  for (const Compute compute : every_call()) EXPECT_NO_THROW(compute(ServerUpdate{}));
}

#if TARDIGRAD_CUDA
TEST(ServerUpdate, NamesItselfWhenCudaFails) {
  if (why_absent(Backend::cuda).empty()) GTEST_SKIP() << "a CUDA device is here";
  float vectors[5] = {};
  EXPECT_THAT([&] { complete(vectors).launch(nullptr); },
              ::testing::ThrowsMessage<std::runtime_error>(::testing::StartsWith("server_update: cuda")));
}
#endif

TEST(ServerUpdate, CountsBytesAndFlops) {
  float vectors[5] = {};
  ServerUpdate update = complete(vectors);
  update.dimension = 1000;
  EXPECT_EQ(update.bytes(), 32000);
  EXPECT_EQ(update.flops(), 8000);
  update.fold = Fold::replace;
  EXPECT_EQ(update.bytes(), 32000);
  EXPECT_EQ(update.flops(), 5000);
  update.fold = Fold::exchange;
  EXPECT_EQ(update.bytes(), 28000);
  EXPECT_EQ(update.flops(), 5000);
  update.hand_over = nullptr;
  EXPECT_EQ(update.bytes(), 24000);
  update.fold = Fold::replace;
  EXPECT_EQ(update.bytes(), 28000);
  update.mean_update = Mean::none;  // a lazy fold and a step along the mean: g → T, read ū, x → x
  EXPECT_EQ(update.bytes(), 20000);
  EXPECT_EQ(update.flops(), 2000);
  update = complete(vectors);
  update.dimension = 1000;
  update.fold = Fold::none;
  update.mean_update = Mean::none;
  update.step = false;  // a hand-over alone is a copy
  EXPECT_EQ(update.bytes(), 8000);
  EXPECT_EQ(update.flops(), 0);
}

TEST(ServerUpdate, CountsBytesAndFlopsOfRowsThatEnterAndOfCorrections) {
  float vectors[7] = {};
  ServerUpdate update = complete(vectors);
  update.dimension = 1000;
  update.fold = Fold::replace;
  update.mean_update = Mean::average;  // T is not read
  EXPECT_EQ(update.bytes(), 28000);
  EXPECT_EQ(update.flops(), 5000);
  update.mean_update = Mean::accumulate;
  update.correction = Correction::correct;  // and s → s
  update.corrected = &vectors[5];
  update.kept = &vectors[6];
  EXPECT_EQ(update.bytes(), 40000);
  EXPECT_EQ(update.flops(), 8000);
  update.correction = Correction::start;
  EXPECT_EQ(update.bytes(), 36000);
  update.correction = Correction::correct_again;
  EXPECT_EQ(update.bytes(), 44000);
  update = complete(vectors);
  update.dimension = 1000;
  update.fold = Fold::keep;  // read T, ū → ū
  update.mean_update = Mean::average;
  update.step = false;
  update.hand_over = nullptr;
  EXPECT_EQ(update.bytes(), 12000);
  EXPECT_EQ(update.flops(), 3000);
}

}  // namespace
}  // namespace tardigrad
