#include "runtime/events/delays.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string refusal_of_delays(const std::string& value, int workers = 3) {
  try {
    Delays::parse(value, workers, 0);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Delays, AListGivesEachWorkerItsTime) {
  const Delays delays = Delays::parse("1.5,2,4e1", 3, 7);
  EXPECT_THAT(delays.base(), ElementsAre(1.5, 2, 40));
  EXPECT_EQ(delays.duration(2, 0), 40);
  EXPECT_EQ(delays.duration(2, 99), 40);
  EXPECT_EQ(Delays::list_length("1.5,2,4e1"), 3);
  EXPECT_THAT(delays.fixed(), ElementsAre(1.5, 2, 40));
  EXPECT_FALSE(delays.measured());
}

TEST(Delays, ListLengthLeavesNoiseAndOtherFormsOut) {
  EXPECT_EQ(Delays::list_length("1.5,2,4e1"), 3);
  EXPECT_EQ(Delays::list_length("1e+1,2+halfnormal:1e+2"), 2);
  for (const char* value :
       {"measured", "truncnorm:1:5", "linear:1:1+exponential", "trace:1,2", "", "+halfnormal"}) {
    EXPECT_EQ(Delays::list_length(value), std::nullopt) << value;
  }
}

TEST(Delays, ANetworkStandsBehindTimesAndNoise) {
  const Delays delays = Delays::parse("1,2,3+halfnormal+network:0.5:1e6", 3, 0);
  EXPECT_THAT(delays.base(), ElementsAre(1, 2, 3));
  EXPECT_EQ(delays.duration(1, 0), Delays::parse("1,2,3+halfnormal", 3, 0).duration(1, 0));
  ASSERT_TRUE(delays.network());
  EXPECT_EQ(delays.network()->latency, 0.5);
  EXPECT_EQ(delays.network()->bandwidth, 1e6);
  EXPECT_EQ(Delays::list_length("1,2,3+network:0:1"), 3);
  EXPECT_EQ(Delays::trace_file("trace:a+shift+network:0:1"), "a");
  EXPECT_FALSE(Delays::parse("1,2,3", 3, 0).network());
  // Jobs wait for their turn, so that no time of theirs is fixed.
  EXPECT_THAT(Delays::parse("1,2,3+network:0:1", 3, 0).fixed(), IsEmpty());
}

TEST(Delays, RefusesNetworksThatCannotBe) {
  for (const char* network :
       {"", "1", "1:", "1:0", "-1:1", "1:1:1", "a:b", "1:nan", "nan:1", "0:1+halfnormal"}) {
    EXPECT_THAT(refusal_of_delays(std::string("linear:1:1+network:") + network),
                HasSubstr("expected a network +network:LATENCY:BANDWIDTH, behind any noise"));
  }
  EXPECT_THAT(refusal_of_delays("measured+network:0:1"), HasSubstr("not measured ones"));
  for (const char* value : {"+network:0:1", "1,2,3+network:0:1+network:0:1"}) {
    EXPECT_THAT(refusal_of_delays(value),
                HasSubstr("expected times of gradients, and behind them one network"));
  }
}

TEST(Delays, MeasuredEmulatesNothing) {
  const Delays delays = Delays::parse("measured", 3, 0);
  EXPECT_TRUE(delays.measured());
  EXPECT_THAT(delays.base(), IsEmpty());
  EXPECT_THAT(delays.fixed(), IsEmpty());
}

TEST(Delays, LinearGrowsByWorker) {
  EXPECT_THAT(Delays::parse("linear:1:2", 4, 5).fixed(), ElementsAre(1, 3, 5, 7));
  EXPECT_THAT(Delays::parse("linear:1e+1:-4", 3, 5).fixed(), ElementsAre(10, 6, 2));
}

TEST(Delays, PermutedGivesTheTimesOfLinearInAnOrderOfTheSeed) {
  const auto times = Delays::parse("permuted:1:2", 100, 5).fixed();
  auto sorted = times;
  std::ranges::sort(sorted);
  EXPECT_EQ(sorted, Delays::parse("linear:1:2", 100, 5).fixed());
  EXPECT_NE(times, sorted);
  EXPECT_NE(times, Delays::parse("permuted:1:2", 100, 6).fixed());
  EXPECT_EQ(times, Delays::parse("permuted:1:2", 100, 5).fixed());
}

TEST(Delays, DrawsDependOnSeedAndWorkerAlone) {
  for (const char* value : {"truncnorm:1:5", "lognormal:0:1", "pareto:1:2", "exponential:3"}) {
    const auto few = Delays::parse(value, 5, 3).base();
    const auto many = Delays::parse(value, 50, 3).base();
    EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin())) << value;
    EXPECT_NE(few, Delays::parse(value, 5, 4).base()) << value;
  }
}

TEST(Delays, TruncnormGivesTheNumbersItAlwaysGave) {
  // Of the first release, whose runs shall stay repeatable; the last bit is the platform's.
  EXPECT_THAT(
      Delays::parse("truncnorm:1:5", 5, 1).fixed(),
      ElementsAre(DoubleEq(7.5481477744921932), DoubleEq(7.2848507629923791), DoubleEq(8.4167576547206657),
                  DoubleEq(1.964802792247339), DoubleEq(4.4037232766672521)));
}

struct Moments {
  double mean;
  double deviation;
};

Moments moments(const std::vector<double>& values) {
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  const double mean = sum / static_cast<double>(values.size());
  return {mean, std::sqrt(squares / static_cast<double>(values.size()) - mean * mean)};
}

constexpr int draws = 20000;
const double five_errors = 5 / std::sqrt(draws);  // of the mean of as many draws of deviation 1

TEST(Delays, TruncnormHasTheMeanOfTheTruncatedNormal) {
  const auto times = Delays::parse("truncnorm:1:5", draws, 1).base();
  EXPECT_GT(*std::min_element(times.begin(), times.end()), 0);
  // mean + std·φ(a)/(1 − Φ(a)) with a = −mean/std = −0.2: 1 + 5·0.391043/0.579260 = 4.3754. The truncated
  // deviation is 3.02, so the sample mean has 0.021; five of those.
  EXPECT_NEAR(moments(times).mean, 4.3754, 0.107);
}

TEST(Delays, TruncnormWithoutSpreadIsItsMean) {
  EXPECT_THAT(Delays::parse("truncnorm:2:0", 2, 1).base(), ElementsAre(2, 2));
}

TEST(Delays, LognormalHasTheMomentsOfItsLogarithm) {
  auto times = Delays::parse("lognormal:-1:0.5", draws, 1).base();
  for (double& time : times) time = std::log(time);
  const auto [mean, deviation] = moments(times);
  EXPECT_NEAR(mean, -1, 0.5 * five_errors);
  EXPECT_NEAR(deviation, 0.5, 0.5 * five_errors / std::sqrt(2));
  EXPECT_THAT(Delays::parse("lognormal:0:0", 2, 1).base(), ElementsAre(1, 1));
}

TEST(Delays, ParetoStartsAtItsScaleWithItsTailIndex) {
  auto times = Delays::parse("pareto:2:1.5", draws, 1).base();
  EXPECT_GE(*std::min_element(times.begin(), times.end()), 2);
  for (double& time : times) time = std::log(time / 2);  // exponential of mean 1/1.5
  EXPECT_NEAR(moments(times).mean, 1 / 1.5, five_errors / 1.5);
  // A share 4^−1.5 = 1/8 lies beyond 4 times the scale.
  const auto beyond = std::count_if(times.begin(), times.end(), [](double log) { return log > std::log(4); });
  EXPECT_NEAR(static_cast<double>(beyond), draws / 8.0, 5 * std::sqrt(draws * 7.0 / 64));
}

TEST(Delays, ExponentialHasItsMean) {
  const auto [mean, deviation] = moments(Delays::parse("exponential:3", draws, 1).base());
  EXPECT_NEAR(mean, 3, 3 * five_errors);
  EXPECT_NEAR(deviation, 3, 3 * five_errors * std::sqrt(2));  // The fourth central moment is 9·3⁴.
}

/// What jobs of the worker take beyond its base time.
std::vector<double> noise(const Delays& delays, int worker) {
  std::vector<double> values;
  for (std::uint64_t job = 0; job < draws; ++job) {
    values.push_back(delays.duration(worker, job) - delays.base()[static_cast<std::size_t>(worker)]);
  }
  return values;
}

TEST(Delays, NoiseHasItsMoments) {
  // |N(0, s²)| has mean s·sqrt(2/π) and deviation s·sqrt(1 − 2/π); Exp of mean m has deviation m.
  constexpr double half_mean = 0.797885;
  constexpr double half_deviation = 0.602810;
  struct Case {
    const char* value;
    Moments expected;
  };
  for (const auto& [value, expected] : std::array{
           Case{"1,4+halfnormal", {2 * half_mean, 2 * half_deviation}},
           Case{"1,4+halfnormal:3", {3 * half_mean, 3 * half_deviation}},
           Case{"1,4+halfnormal:worker", {std::sqrt(2) * half_mean, std::sqrt(2) * half_deviation}},
           Case{"1,4+exponential", {4, 4}},
           Case{"1,4+exponential:0.5", {0.5, 0.5}},
       }) {
    const auto values = noise(Delays::parse(value, 2, 1), 1);
    EXPECT_GE(*std::min_element(values.begin(), values.end()), 0) << value;
    const auto [mean, deviation] = moments(values);
    EXPECT_NEAR(mean, expected.mean, expected.deviation * five_errors) << value;
    // The fourth central moment of either is at most 9 deviation⁴.
    EXPECT_NEAR(deviation, expected.deviation, expected.deviation * five_errors * std::sqrt(2)) << value;
  }
}

TEST(Delays, NoiseDependsOnSeedWorkerAndJobAlone) {
  const Delays delays = Delays::parse("exponential:1+halfnormal", 3, 7);
  const Delays more = Delays::parse("exponential:1+halfnormal", 30, 7);
  std::vector<double> forwards;
  for (std::uint64_t job = 0; job < 100; ++job) forwards.push_back(delays.duration(1, job));
  for (std::uint64_t job = 100; job-- > 0;) {
    static_cast<void>(more.duration(2, job));
    EXPECT_EQ(more.duration(1, job), forwards[job]);
  }
  EXPECT_EQ(delays.base(), Delays::parse("exponential:1", 3, 7).base());
  EXPECT_NE(Delays::parse("1,1+halfnormal", 2, 7).duration(0, 0),
            Delays::parse("1,1+halfnormal", 2, 8).duration(0, 0));
  EXPECT_NE(Delays::parse("1,1+halfnormal", 2, 7).duration(0, 0),
            Delays::parse("1,1+halfnormal", 2, 7).duration(1, 0));
}

TEST(Delays, NoiseDoesNotRepeatTheDrawOfTheBase) {
  const Delays delays = Delays::parse("exponential:1+exponential:1", 1000, 0);
  for (int worker = 0; worker < 1000; ++worker) {
    const double base = delays.base()[static_cast<std::size_t>(worker)];
    EXPECT_NE(delays.duration(worker, 0), 2 * base);
  }
}

TEST(Delays, NoiseLeavesNoFixedTime) {
  for (const char* value : {"1,2+halfnormal", "linear:1:1+halfnormal:1e+1"}) {
    const Delays delays = Delays::parse(value, 2, 0);
    EXPECT_THAT(delays.fixed(), IsEmpty()) << value;
    EXPECT_THAT(delays.base(), ElementsAre(1, 2)) << value;
    EXPECT_NE(delays.duration(1, 0), delays.duration(1, 1)) << value;
  }
}

TEST(DelayTrace, RepeatsTheRecordedJobsOfEachWorker) {
  const TemporaryFile file;
  const std::string value = "trace:" + file.write(
                                           "{\"event\": \"run\", \"compute_times\": [1, 2]}\n"
                                           "{\"worker\": 1, \"compute_time\": 5}\n"
                                           "\n"
                                           "{\"worker\": 0, \"compute_time\": 1.5, \"time\": 3}\n"
                                           "{\"worker\": 1, \"compute_time\": 2e1}\n"
                                           "{\"worker\": 1, \"compute_time\": null}\n"
                                           "{\"worker\": \"1\", \"compute_time\": 3}\n"
                                           "{\"worker\": 1}\n"
                                           "[0, 1]\n"
                                           "7\n"
                                           "{\"worker\": 1, \"compute_time\": 6}");
  const Delays delays = Delays::parse(value, 2, 0);
  EXPECT_FALSE(delays.measured());
  EXPECT_THAT(delays.fixed(), IsEmpty());
  EXPECT_THAT(delays.base(), IsEmpty());
  for (const std::uint64_t job : {0, 1, 100}) EXPECT_EQ(delays.duration(0, job), 1.5);
  const std::array recorded = {5.0, 20.0, 6.0};
  for (std::uint64_t job = 0; job < 10; ++job) EXPECT_EQ(delays.duration(1, job), recorded[job % 3]);
}

TEST(DelayTrace, ShiftedBeginsAtTheSameShareOfTheJobsOfEachWorker) {
  std::string jobs;
  for (int job = 0; job < 1000; ++job) {
    jobs += "{\"worker\": 0, \"compute_time\": " + std::to_string(1000 + job) + "}\n";
    if (job % 10 == 0) jobs += "{\"worker\": 1, \"compute_time\": " + std::to_string(1000 + job) + "}\n";
  }
  const TemporaryFile file;
  const std::string value = "trace:" + file.write(jobs) + "+shift";
  std::set<double> firsts;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const Delays delays = Delays::parse(value, 2, seed);
    const double first = delays.duration(0, 0) - 1000;
    firsts.insert(first);
    EXPECT_EQ(delays.duration(1, 0) - 1000, 10 * std::floor(first / 10)) << seed;
    for (std::uint64_t job = 0; job < 2000; ++job) {
      ASSERT_EQ(delays.duration(0, job) - 1000, std::fmod(first + static_cast<double>(job), 1000)) << seed;
    }
  }
  EXPECT_EQ(firsts.size(), 8);
}

TEST(DelayTrace, RefusalsNameTheLine) {
  const TemporaryFile file;
  const std::string job = "{\"worker\": 0, \"compute_time\": 1}\n";
  const auto refused = [&](const std::string& line) {
    return refusal_of_delays("trace:" + file.write(job + line + "\n"), 2);
  };
  const std::string second_line = "--compute-time trace:" + file.path() + ":2: expected ";
  EXPECT_EQ(refused("{\"worker\": 1,"), second_line + "a line of JSON");
  EXPECT_EQ(refused("{\"worker\": 1, \"compute_time\": 1e999}"), second_line + "a line of JSON");
  EXPECT_EQ(refused("{\"worker\": 2, \"compute_time\": 1}"), second_line + "a worker from 0 to 1, found 2");
  EXPECT_EQ(refused("{\"worker\": -1, \"compute_time\": 1}"), second_line + "a worker from 0 to 1, found -1");
  EXPECT_EQ(refused("{\"worker\": 0.5, \"compute_time\": 1}"),
            second_line + "a worker from 0 to 1, found 0.5");
  EXPECT_EQ(refused("{\"worker\": 1, \"compute_time\": 0}"),
            second_line + "a positive compute_time, found 0");
  EXPECT_EQ(refused("{\"worker\": 1, \"compute_time\": -2}"),
            second_line + "a positive compute_time, found -2");
}

TEST(DelayTrace, RefusesAFileWithoutJobsOfAWorkerOrNone) {
  const TemporaryFile file;
  const std::string value = "trace:" + file.write("{\"worker\": 0, \"compute_time\": 1}\n");
  EXPECT_EQ(refusal_of_delays(value, 2),
            "--compute-time " + value + ": expected jobs of each of the 2 workers, found none of worker 1");
  EXPECT_EQ(refusal_of_delays(value + "+halfnormal", 1),
            "--compute-time " + value +
                "+halfnormal: expected trace:FILE, without noise, of a "
                "file that can be read: No such file or directory");
}

TEST(Delays, RefusalsNameTheValueAndWhatWasExpected) {
  EXPECT_THAT(refusal_of_delays("1,2"),
              HasSubstr("--compute-time 1,2: expected one time for each of the 3 workers, found 2"));
  EXPECT_THAT(refusal_of_delays("1,,2"), HasSubstr("expected positive times, found ''"));
  EXPECT_THAT(refusal_of_delays("1,0,2"), HasSubstr("found '0'"));
  EXPECT_THAT(refusal_of_delays("1,-2,2"), HasSubstr("found '-2'"));
  EXPECT_THAT(refusal_of_delays("1,1e999,2"), HasSubstr("found '1e999'"));
  EXPECT_EQ(
      refusal_of_delays("fast"),
      "--compute-time fast: expected measured or trace:FILE or, with noise or without, one of a list such as "
      "1,2,40, linear:A:B, permuted:A:B, truncnorm:MEAN:STD, lognormal:MU:SIGMA, pareto:SCALE:SHAPE, "
      "exponential:MEAN");
  for (const char* value : {"", "measured+halfnormal", "+halfnormal", "lognormalx:1:1"}) {
    EXPECT_THAT(refusal_of_delays(value), HasSubstr("expected measured or trace:FILE")) << value;
  }
}

TEST(Delays, RefusesParametersOutsideTheirRange) {
  struct Case {
    std::string expected;
    std::vector<std::string> values;
  };
  const std::vector<Case> cases = {
      {"linear:A:B with numbers", {"linear", "linear:1", "linear:1:x", "linear:1:2:3", "linear:inf:1"}},
      {"truncnorm:MEAN:STD with numbers of at least 0, not both 0",
       {"truncnorm:", "truncnorm:1", "truncnorm:1:x", "truncnorm:-1:2", "truncnorm:1:-2", "truncnorm:0:0",
        "truncnorm:1:2:3", "truncnorm:nan:1"}},
      {"lognormal:MU:SIGMA with numbers, SIGMA at least 0", {"lognormal:1", "lognormal:1:-1"}},
      {"pareto:SCALE:SHAPE with numbers above 0", {"pareto:1", "pareto:0:1", "pareto:1:0", "pareto:1:-1"}},
      {"exponential:MEAN with a number above 0", {"exponential", "exponential:0", "exponential:1:2"}},
  };
  for (const auto& [expected, values] : cases) {
    for (const std::string& value : values) {
      EXPECT_EQ(refusal_of_delays(value), "--compute-time " + value + ": expected " + expected);
    }
  }
}

TEST(Delays, RefusesTimesThatAreNotPositiveNumbers) {
  EXPECT_EQ(refusal_of_delays("linear:4:-2"),
            "--compute-time linear:4:-2: expected positive times, found 0 for worker 2");
  EXPECT_THAT(refusal_of_delays("linear:0:1"), HasSubstr("found 0 for worker 0"));
  EXPECT_THAT(refusal_of_delays("lognormal:1e3:0"), HasSubstr("found inf for worker 0"));
  EXPECT_THAT(refusal_of_delays("lognormal:-1e3:0"), HasSubstr("found 0 for worker 0"));
}

TEST(Delays, RefusesUnknownNoise) {
  for (const char* noise : {"+halfnorm", "+halfnormal:", "+halfnormal:0", "+halfnormal:x", "+exponential:-1",
                            "+exponential:1:2", "+exponential:worker", "+halfnormal+exponential"}) {
    EXPECT_EQ(refusal_of_delays(std::string("1,2,3") + noise),
              std::string("--compute-time 1,2,3") + noise +
                  ": expected noise +halfnormal, +halfnormal:STD, +halfnormal:worker, +exponential or "
                  "+exponential:MEAN with a number above 0, found '" +
                  noise + "'");
  }
  EXPECT_THAT(refusal_of_delays("1,2,3+5"), HasSubstr("expected positive times, found '3+5'"));
}

}  // namespace
}  // namespace tardigrad
