#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/runtime/methods/method_words.h"

namespace tardigrad {
namespace {

using ::testing::AnyOf;
using testing::arrive;
using ::testing::HasSubstr;
using testing::start;
using testing::started;

/// The scale of the step that an arrival makes.
double scale(Method& method, const Arrival& arrival) {
  Actions actions;
  method.arrive(arrival, actions);
  return std::get<Step>(actions.at(0)).scale;
}

std::string refusal(const char* name, const MethodOptions& options) {
  try {
    make_method(name, options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Methods, AllStartEveryWorker) {
  EXPECT_EQ(method_names().size(), 17);
  for (const std::string& name : method_names()) {
    const auto method = make_method(name, {.workers = 3});
    EXPECT_EQ(start(*method), " hand 0 hand 1 hand 2") << name;
  }
}

TEST(Methods, KeepWhatTheirTableOfMemorySays) {
  const auto memory = [](const char* name) {
    const ServerMemory needed = make_method(name, {.workers = 3})->memory();
    return std::pair(needed.tables, needed.mean);
  };
  for (const char* name :
       {"asgd", "asgd-delay-adaptive", "asgd-rescaled", "asgd-shuffled", "asgd-uniform", "ringmaster"}) {
    EXPECT_EQ(memory(name), std::pair(0, false)) << name;
  }
  for (const char* name : {"fedbuff", "msync", "rennala", "sync"}) {
    EXPECT_EQ(memory(name), std::pair(0, true)) << name;
  }
  for (const char* name : {"aced", "ca2fl", "dude", "ia2sgd", "malenia", "mifa"}) {
    EXPECT_EQ(memory(name), std::pair(1, true)) << name;
  }
  EXPECT_EQ(memory("ringleader"), std::pair(2, true));
}

TEST(Methods, CanBeMadeBeforeTheNumberOfWorkersIsKnown) {
  for (const std::string& name : method_names()) make_method(name, {.workers = 1 << 30});
}

TEST(Asgd, EveryArrivalIsAStep) {
  const auto method = started("asgd", {.workers = 3});
  EXPECT_EQ(arrive(*method, 1), " step*1 hand 1");
  EXPECT_EQ(arrive(*method, 1), " step*1 hand 1");
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0");
}

TEST(AsgdDelayAdaptive, StepsAreShorterBeyondTheThreshold) {
  const auto method = started("asgd-delay-adaptive", {.workers = 4});
  EXPECT_EQ(scale(*method, {.staleness = 4}), 1);
  EXPECT_EQ(scale(*method, {.staleness = 5}), 4.0 / 5);
  const auto threshold = started("asgd-delay-adaptive", {.workers = 4, .delay_threshold = 2});
  EXPECT_EQ(scale(*threshold, {.staleness = 2}), 1);
  EXPECT_EQ(scale(*threshold, {.staleness = 8}), 2.0 / 8);
}

TEST(AsgdDelayAdaptive, SmoothnessBoundsTheStepBeyondTheThreshold) {
  const auto method =
      started("asgd-delay-adaptive", {.workers = 4, .delay_threshold = 2, .smoothness = 0.5, .lr = 0.125});
  EXPECT_EQ(scale(*method, {.staleness = 2}), 1);
  EXPECT_EQ(scale(*method, {.staleness = 3}), 1);  // 1/(4·0.5·3) > 0.125
  EXPECT_EQ(0.125 * scale(*method, {.staleness = 16}), 1 / (4 * 0.5 * 16));
}

TEST(AsgdUniform, DrawsAlikeAndByTheSeed) {
  const auto draws = [](std::uint64_t seed) {
    const auto method = started("asgd-uniform", {.workers = 4, .seed = seed});
    std::vector<int> drawn(4);
    for (int i = 0; i < 4000; ++i) {
      Actions actions;
      method->arrive({}, actions);
      ++drawn.at(static_cast<std::size_t>(std::get<HandOver>(actions.at(1)).worker));
    }
    return drawn;
  };
  // Four standard deviations of a binomial count are 110.
  EXPECT_THAT(draws(1), ::testing::Each(::testing::AllOf(::testing::Gt(890), ::testing::Lt(1110))));
  EXPECT_EQ(draws(1), draws(1));
  EXPECT_NE(draws(1), draws(2));
}

TEST(AsgdShuffled, EveryWorkerOnceThenInAnotherOrder) {
  const auto method = started("asgd-shuffled", {.workers = 8});
  std::set<std::string> draws;
  std::set<std::string> orders;
  for (int shuffle = 0; shuffle < 10; ++shuffle) {
    std::string order;
    for (int i = 0; i < 8; ++i) order += *draws.insert(arrive(*method, 0)).first;
    orders.insert(order);
  }
  EXPECT_EQ(draws.size(), 8);
  EXPECT_EQ(orders.size(), 10);
}

TEST(AsgdRescaled, StepsAreProportionalToGivenTimes) {
  const auto method = started("asgd-rescaled", {.workers = 2, .compute_times = {1, 3}});
  // τ_h = 2/(1 + 1/3) = 3/2
  EXPECT_DOUBLE_EQ(scale(*method, {.worker = 0, .compute_time = 77}), 1 / 1.5);
  EXPECT_DOUBLE_EQ(scale(*method, {.worker = 1, .compute_time = 77}), 3 / 1.5);
}

TEST(AsgdRescaled, TakesMeansOfWhatItSeesWithoutGivenTimes) {
  const auto method = started("asgd-rescaled", {.workers = 3});
  EXPECT_EQ(scale(*method, {.worker = 0, .compute_time = 2}), 1);  // nobody else known
  EXPECT_EQ(scale(*method, {.worker = 1}), 1);                     // no time observed
  EXPECT_DOUBLE_EQ(scale(*method, {.worker = 1, .compute_time = 6}), 6 / (2 / (1.0 / 2 + 1.0 / 6)));
  EXPECT_DOUBLE_EQ(scale(*method, {.worker = 0, .compute_time = 4}), 3 / (2 / (1.0 / 3 + 1.0 / 6)));
  EXPECT_DOUBLE_EQ(scale(*method, {.worker = 2, .compute_time = 2}), 2 / (3 / (1.0 / 3 + 1.0 / 6 + 1.0 / 2)));
}

TEST(Sync, ARoundWaitsForAll) {
  const auto method = started("sync", {.workers = 2});
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(arrive(*method, 1), " restart+0.5");
    EXPECT_EQ(arrive(*method, 0), " add 0.5 step*1 hand 0 hand 1");
  }
}

TEST(Sync, OneWorkerStepsAtOnce) {
  const auto method = started("sync", {.workers = 1});
  EXPECT_EQ(arrive(*method, 0), " restart+1 step*1 hand 0");
}

TEST(Msync, StepsAfterTheFirstFewAndThrowsAwayTheRest) {
  const auto method = started("msync", {.workers = 4, .gather = 2});
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(arrive(*method, 3), " restart+0.5");
    EXPECT_EQ(arrive(*method, 1), " add 0.5 step*1 discard 0 discard 2 hand 0 hand 1 hand 2 hand 3");
  }
}

TEST(Fedbuff, WorkersGoOnAtOnceAndTheLastOfABufferWithTheNewModel) {
  const auto method = started("fedbuff", {.workers = 3, .gather = 2});
  for (int buffer = 0; buffer < 3; ++buffer) {
    EXPECT_EQ(arrive(*method, 2), " restart+0.5 hand 2");
    EXPECT_EQ(arrive(*method, 2), " add 0.5 step*1 hand 2");
  }
}

TEST(Fedbuff, GathersTenIfNotTold) {
  const auto method = started("fedbuff", {.workers = 3});
  for (int i = 0; i < 9; ++i) EXPECT_THAT(arrive(*method, 1), ::testing::Not(HasSubstr("step")));
  EXPECT_EQ(arrive(*method, 1), " add 0.1 step*1 hand 1");
}

TEST(Rennala, StepsAfterEnoughOfWhomeverAndThrowsAwayTheRest) {
  const auto method = started("rennala", {.workers = 3, .gather = 2});
  for (int batch = 0; batch < 3; ++batch) {
    EXPECT_EQ(arrive(*method, 1), " restart+0.5 hand 1");
    EXPECT_EQ(arrive(*method, 1), " add 0.5 step*1 discard 0 discard 2 hand 0 hand 1 hand 2");
  }
}

TEST(Rennala, GathersAsManyAsThereAreWorkersIfNotTold) {
  const auto method = started("rennala", {.workers = 2});
  EXPECT_EQ(arrive(*method, 0), " restart+0.5 hand 0");
  EXPECT_EQ(arrive(*method, 0), " add 0.5 step*1 discard 1 hand 0 hand 1");
}

TEST(Ringmaster, StopsJobsWhoseStalenessReachesTheThreshold) {
  const auto method = started("ringmaster", {.workers = 3, .delay_threshold = 2});
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0");
  EXPECT_EQ(arrive(*method, 1), " step*1 hand 1 discard 2 hand 2");  // 2 was at version 0; 0 is at 1
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0");                   // 1 and 2 are at version 2
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0 discard 1 hand 1 discard 2 hand 2");
}

TEST(Ringmaster, TheThresholdIsTheNumberOfWorkersIfNotTold) {
  const auto method = started("ringmaster", {.workers = 3});
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0");
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0");
  EXPECT_EQ(arrive(*method, 0), " step*1 hand 0 discard 1 hand 1 discard 2 hand 2");
}

TEST(Mifa, WithoutAnOptionEverybodyIsThere) {
  const auto method = started("mifa", {.workers = 2});
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(arrive(*method, 1), " fold 1*1");
    EXPECT_EQ(arrive(*method, 0), " fold 0*1 step*1 hand 0 hand 1");
  }
}

TEST(Mifa, RoundsOfThoseAvailable) {
  constexpr int workers = 10;
  const auto method = started("mifa", {.workers = workers, .availability = 0.25});
  std::vector<int> computing(workers);
  for (int i = 0; i < workers; ++i) computing[static_cast<std::size_t>(i)] = i;
  int took_part = 0;
  constexpr int rounds = 1000;
  for (int round = 0; round < rounds; ++round) {
    Actions actions;
    for (const int worker : computing) {
      ASSERT_TRUE(actions.empty() || actions.size() == 1) << "a round ended early";
      actions.clear();
      method->arrive({.worker = worker}, actions);
    }
    ASSERT_TRUE(std::holds_alternative<Step>(actions.at(1)));
    computing.clear();
    for (std::size_t i = 2; i < actions.size(); ++i) {
      computing.push_back(std::get<HandOver>(actions[i]).worker);
    }
    took_part += static_cast<int>(computing.size());
  }
  // 2.5/(1 − 0.75^10) = 2.65 a round, as empty rounds are skipped; four standard deviations are 0.17.
  EXPECT_NEAR(took_part / static_cast<double>(rounds), 2.65, 0.17);
}

TEST(Methods, RefusalsSayWhatWasExpected) {
  EXPECT_THAT(refusal("dud", {.workers = 3}), HasSubstr("--method dud: unknown; did you mean dude?"));
  EXPECT_THAT(refusal("xyzzy", {.workers = 3}),
              HasSubstr("--method xyzzy: unknown; known: aced, asgd, asgd-delay-adaptive, "));
  EXPECT_EQ(refusal("dude", {.workers = 3, .gather = 4}),
            "--gather 4: expected 1 to the number of workers (3) with --method dude");
  EXPECT_THAT(refusal("dude", {.workers = 3, .gather = 0}), HasSubstr("--gather 0: expected 1 to"));
  EXPECT_EQ(refusal("msync", {.workers = 3, .gather = 4}),
            "--gather 4: expected 1 to the number of workers (3) with --method msync");
  EXPECT_THAT(refusal("msync", {.workers = 3, .gather = 0}), HasSubstr("--gather 0: expected 1 to"));
  EXPECT_EQ(refusal("ca2fl", {.workers = 3, .gather = 0}), "--gather 0: expected 1 or more");
  EXPECT_EQ(refusal("ca2fl", {.workers = 3, .gather = 4}), "accepted");
  EXPECT_EQ(refusal("aced", {.workers = 3, .delay_threshold = 0}), "accepted");
  EXPECT_EQ(refusal("aced", {.workers = 3, .delay_threshold = -1}),
            "--delay-threshold -1: expected 0 or more");
  EXPECT_EQ(refusal("fedbuff", {.workers = 3, .gather = 0}), "--gather 0: expected 1 or more");
  EXPECT_EQ(refusal("rennala", {.workers = 3, .gather = -1}), "--gather -1: expected 1 or more");
  EXPECT_EQ(refusal("malenia", {.workers = 3, .gather = -1}), "--gather -1: expected 0 or more");
  EXPECT_EQ(refusal("malenia", {.workers = 3, .gather = 0}), "accepted");
  for (const char* name : {"ringmaster", "asgd-delay-adaptive"}) {
    EXPECT_EQ(refusal(name, {.workers = 3, .delay_threshold = 0}), "--delay-threshold 0: expected 1 or more");
  }
  for (const double smoothness : {0.0, -1.0, HUGE_VAL, std::nan("")}) {
    EXPECT_THAT(
        refusal("asgd-delay-adaptive", {.workers = 3, .smoothness = smoothness}),
        AnyOf("--smoothness 0: expected a positive number", "--smoothness -1: expected a positive number",
              "--smoothness inf: expected a positive number",
              "--smoothness nan: expected a positive number"));
  }
  for (const double availability : {0.0, 1.5, std::nan("")}) {
    EXPECT_THAT(refusal("mifa", {.workers = 3, .availability = availability}),
                HasSubstr(": expected a probability above 0 and at most 1"));
  }
}

TEST(Methods, RefuseOptionsTheyHaveNoUseFor) {
  EXPECT_EQ(refusal("asgd", {.workers = 3, .gather = 2}),
            "--gather has no use with --method asgd; methods that use it: ca2fl, dude, fedbuff, malenia, "
            "msync, rennala");
  EXPECT_EQ(refusal("sync", {.workers = 3, .delay_threshold = 2}),
            "--delay-threshold has no use with --method sync; methods that use it: aced, "
            "asgd-delay-adaptive, ringmaster");
  EXPECT_EQ(refusal("ringmaster", {.workers = 3, .smoothness = 2.0}),
            "--smoothness has no use with --method ringmaster; methods that use it: asgd-delay-adaptive");
  EXPECT_EQ(refusal("dude", {.workers = 3, .availability = 0.5}),
            "--availability has no use with --method dude; methods that use it: mifa");
}

/// Of a method that says what each arrival leads to, in whatever order workers come.
TEST(Methods, ArrivalsLeadToWhatWasSaid) {
  constexpr int workers = 3;
  for (const std::string& name : method_names()) {
    const auto method = make_method(name, {.workers = workers});
    Actions actions;
    method->start(actions);
    if (!has_feature(name, Feature::each_arrival)) {
      EXPECT_FALSE(method->each_arrival()) << name;
      continue;
    }
    bool known = false;
    for (int arrival = 0; arrival < 20; ++arrival) {
      const int worker = arrival < workers ? arrival : arrival * arrival % workers;
      const std::optional<EachArrival> said = method->each_arrival();
      EXPECT_TRUE(!known || said) << name;
      known = said.has_value();
      actions.clear();
      method->arrive({.worker = worker, .version = 0, .staleness = 0, .compute_time = 1}, actions);
      if (said) {
        EXPECT_EQ(actions, said->of(worker)) << name;
      }
    }
    EXPECT_TRUE(known) << name;
  }
  EXPECT_FALSE(make_method("dude", {.workers = workers, .gather = 2})->each_arrival());
}

TEST(Methods, FeaturesOfTheRestOfTheProgramAreKnownHere) {
  const auto having = [](Feature feature) {
    std::vector<std::string> names;
    for (const std::string& name : method_names()) {
      try {
        require_feature(name, feature, "--flag");
        names.push_back(name);
      } catch (const std::invalid_argument& error) {
        EXPECT_THAT(error.what(), HasSubstr("--flag has no use with --method " + name));
      }
    }
    return names;
  };
  EXPECT_THAT(having(Feature::table),
              ::testing::ElementsAre("aced", "ca2fl", "dude", "ia2sgd", "malenia", "mifa", "ringleader"));
  EXPECT_THAT(having(Feature::local_steps), ::testing::ElementsAre("ca2fl", "fedbuff"));
  EXPECT_THAT(having(Feature::all_reduce), ::testing::ElementsAre("sync"));
  EXPECT_THAT(having(Feature::each_arrival), ::testing::ElementsAre("asgd", "dude", "ia2sgd"));
}

}  // namespace
}  // namespace tardigrad
