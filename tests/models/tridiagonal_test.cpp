#include "models/tridiagonal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/random.h"

namespace tardigrad::models {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Job {
  std::vector<float> gradient;
  float loss = 0;
  bool operator==(const Job&) const = default;
};

/// One objective, and a stream that computes jobs of it.
class Jobs {
 public:
  Jobs(const TridiagonalOptions& options, int workers, std::uint64_t seed = 1)
      : objective_(options, workers, seed),
        stream_(Device{}, "jobs"),
        engine_(objective_.make_engine(stream_)) {}

  Job compute(int worker, std::uint64_t job, const std::vector<float>& x) {
    Job result{std::vector<float>(x.size())};
    engine_->enqueue_minibatch(worker, job);
    engine_->enqueue_gradient(worker, host_view(x.data(), x.size()),
                              host_view(result.gradient.data(), x.size()), &result.loss);
    stream_.ref().synchronize();
    return result;
  }

  Tridiagonal& objective() { return objective_; }

 private:
  Tridiagonal objective_;
  Stream stream_;
  std::unique_ptr<GradientEngine> engine_;
};

std::vector<float> point(std::size_t dimension) {
  Random random({4, 3, 2, 1});
  std::vector<float> x(dimension);
  for (float& value : x) value = static_cast<float>(random.normal());
  return x;
}

TEST(Tridiagonal, SmallCaseByHand) {
  Jobs jobs({.dimension = 3}, 2);
  // A x = ¼ (2·4 + 8, −4 − 2·8 − 2, 8 + 2·2) with x = (4, −8, 2), b = (−¼, 0, 0)
  const Job job = jobs.compute(1, 5, {4, -8, 2});
  EXPECT_THAT(job.gradient, ElementsAre(4 + 0.25F, -5.5F, 3));
  EXPECT_EQ(job.loss, 0.5F * (4 * 4 + 8 * 5.5F + 2 * 3) + 1);
  EXPECT_EQ(jobs.objective().evaluate(std::vector<float>{4, -8, 2}).loss, 34);
}

TEST(Tridiagonal, StartsAndEndsWhereThePapersDo) {
  Jobs jobs({.dimension = 100}, 1);
  std::vector<float> x(100);
  jobs.objective().initialise(x, 7);
  EXPECT_EQ(x[0], 10);
  EXPECT_EQ(jobs.objective().evaluate(x).loss, 27.5);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = (static_cast<float>(i) + 1) / 101 - 1;
  // The solution is rounded to fp32: neighbours of size 1 leave 1e-7 of a gradient.
  for (const float element : jobs.compute(0, 0, x).gradient) EXPECT_NEAR(element, 0, 1e-7);
  EXPECT_NEAR(jobs.objective().evaluate(x).loss, -100 / (8.0 * 101), 1e-12);
}

TEST(Tridiagonal, GradientsAreThoseOfTheMeanInFloat64) {
  constexpr int workers = 5;
  Jobs jobs({.dimension = 20, .spread = 0.5}, workers);
  const std::vector<float> x = point(20);
  std::vector<double> mean(x.size());
  double loss = 0;
  for (int worker = 0; worker < workers; ++worker) {
    const Job job = jobs.compute(worker, 0, x);
    for (std::size_t i = 0; i < x.size(); ++i) mean[i] += static_cast<double>(job.gradient[i]) / workers;
    loss += static_cast<double>(job.loss) / workers;
  }
  // Each job's numbers are rounded to fp32, of size 1 and 10.
  EXPECT_NEAR(loss, jobs.objective().evaluate(x).loss, 1e-6);
  std::vector<double> gradient(x.size());
  EXPECT_EQ(jobs.objective().full_gradient(x, gradient), jobs.objective().evaluate(x).loss);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(gradient[i], mean[i], 1e-6);
  for (std::size_t i = 0; i < x.size(); ++i) {
    // Central differences of a quadratic are exact; evaluate() takes floats, so the step is a power of two.
    constexpr float step = 0x1p-3F;
    std::vector<float> right = x;
    std::vector<float> left = x;
    right[i] += step;
    left[i] -= step;
    const double distance = static_cast<double>(right[i]) - static_cast<double>(left[i]);
    const double difference = jobs.objective().evaluate(right).loss - jobs.objective().evaluate(left).loss;
    EXPECT_NEAR(difference / distance, mean[i], 1e-6) << "element " << i;
  }
}

TEST(Tridiagonal, WorkersDifferButTheirMeanIsThePlainProblem) {
  constexpr int workers = 400;
  constexpr double spread = 0.5;
  Jobs jobs({.dimension = 30, .spread = spread}, workers);
  Jobs plain({.dimension = 30}, workers);
  const std::vector<float> x = point(30);
  const std::vector<float> mean = plain.compute(0, 0, x).gradient;
  std::vector<double> sum(x.size());
  double squares = 0;
  for (int worker = 0; worker < workers; ++worker) {
    const Job job = jobs.compute(worker, 0, x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double deviation = static_cast<double>(job.gradient[i]) - static_cast<double>(mean[i]);
      sum[i] += deviation;
      squares += deviation * deviation;
    }
  }
  // What is left is rounding to fp32: at most 2⁻²⁴ for numbers below 2, the worker's and the plain one's.
  for (const double element : sum) EXPECT_NEAR(element, 0, workers * 0x1p-23);
  // 12,000 draws: the standard error of a variance is √(2/12,000) = 1.3 % of it.
  EXPECT_NEAR(squares / (workers * 30), spread * spread, 0.05 * spread * spread);
  EXPECT_NEAR(jobs.objective().evaluate(x).loss, plain.objective().evaluate(x).loss, 1e-6);
}

TEST(Tridiagonal, NoiseHasTheMomentsAskedFor) {
  constexpr double noise = 0.25;
  constexpr std::size_t dimension = 1000;
  Jobs jobs({.dimension = dimension, .noise = noise}, 3);
  Jobs plain({.dimension = dimension}, 3);
  const std::vector<float> x(dimension, 0);
  const std::vector<float> mean = plain.compute(0, 0, x).gradient;
  double sum = 0;
  double squares = 0;
  constexpr int count = 20;
  for (int job = 0; job < count; ++job) {
    const Job drawn = jobs.compute(1, static_cast<std::uint64_t>(job), x);
    for (std::size_t i = 0; i < dimension; ++i) {
      const double deviation = static_cast<double>(drawn.gradient[i]) - static_cast<double>(mean[i]);
      sum += deviation;
      squares += deviation * deviation;
    }
  }
  // 20,000 draws: standard errors of noise/√20,000 = 0.7 % and of 1 % of the variance; four of each.
  constexpr double draws = count * static_cast<double>(dimension);
  EXPECT_NEAR(sum / draws, 0, 4 * noise / std::sqrt(draws));
  EXPECT_NEAR(squares / draws, noise * noise, 0.04 * noise * noise);
}

TEST(Tridiagonal, TheLossOfANoisyJobHasItsGradient) {
  Jobs jobs({.dimension = 6, .noise = 0.5, .spread = 0.5}, 2);
  const std::vector<float> x = point(6);
  const Job at = jobs.compute(1, 3, x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::vector<float> right = x;
    std::vector<float> left = x;
    right[i] += 0.5F;
    left[i] -= 0.5F;
    // Losses of size 1 in fp32.
    EXPECT_NEAR(jobs.compute(1, 3, right).loss - jobs.compute(1, 3, left).loss, at.gradient[i], 2e-6);
  }
}

TEST(Tridiagonal, AJobDependsOnSeedWorkerAndJobOnly) {
  const TridiagonalOptions options{.dimension = 8, .noise = 0.1};
  const std::vector<float> x = point(8);
  Jobs jobs(options, 3);
  const Job expected = jobs.compute(1, 7, x);
  jobs.compute(2, 0, x);
  EXPECT_EQ(jobs.compute(1, 7, x), expected);
  EXPECT_EQ(Jobs(options, 3).compute(1, 7, x), expected);
  EXPECT_EQ(Jobs(options, 9).compute(1, 7, x), expected);
  EXPECT_NE(jobs.compute(1, 8, x), expected);
  EXPECT_NE(jobs.compute(0, 7, x), expected);
  EXPECT_NE(Jobs(options, 3, 2).compute(1, 7, x), expected);
}

TEST(Tridiagonal, OfOneProblemSeedWorkersDifferAlikeUnderAnySeed) {
  const std::vector<float> x = point(8);
  const TridiagonalOptions problem{.dimension = 8, .spread = 0.5, .problem_seed = 3};
  const Job expected = Jobs(problem, 3, 1).compute(1, 7, x);
  EXPECT_EQ(Jobs(problem, 3, 2).compute(1, 7, x), expected);
  EXPECT_EQ(Jobs({.dimension = 8, .spread = 0.5}, 3, 3).compute(1, 7, x), expected);
  EXPECT_NE(Jobs({.dimension = 8, .spread = 0.5}, 3, 2).compute(1, 7, x), expected);
}

TEST(Tridiagonal, ManyWorkersInManyDimensions) {
  Tridiagonal objective({.dimension = 1000, .noise = 0.01}, 10000, 1);
  EXPECT_EQ(objective.workers(), 10000);
  EXPECT_EQ(objective.dimension(), 1000U);
  EXPECT_TRUE(objective.runs_on(Backend::cuda));
  EXPECT_EQ(objective.examples(), 0U);
  EXPECT_THROW(Tridiagonal({.dimension = 1}, 0, 1), std::invalid_argument);
}

TEST(ParseTridiagonal, ReadsItsSettingsInAnyOrder) {
  const auto read = [](const char* text) {
    const TridiagonalOptions options = parse_tridiagonal(text);
    return std::tuple(options.dimension, options.noise, options.spread);
  };
  EXPECT_EQ(read("tridiagonal:1"), std::tuple(1, 0.0, 0.0));
  EXPECT_EQ(read("tridiagonal:1000:noise=0.01:spread=0.5"), std::tuple(1000, 0.01, 0.5));
  EXPECT_EQ(read("tridiagonal:10:spread=2"), std::tuple(10, 0.0, 2.0));
  EXPECT_TRUE(is_tridiagonal("tridiagonal"));
  EXPECT_TRUE(is_tridiagonal("tridiagonal:x"));
  EXPECT_FALSE(is_tridiagonal("tridiagonal.json"));
  EXPECT_FALSE(is_tridiagonal("problem.json"));
}

std::string refusal_of_options(const std::string& text) {
  try {
    parse_tridiagonal(text);
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(text));
    return error.what();
  }
  return "accepted";
}

TEST(ParseTridiagonal, SaysWhatIsWrong) {
  for (const char* text :
       {"tridiagonal", "tridiagonal:", "tridiagonal:0", "tridiagonal:-3", "tridiagonal:ten",
        "tridiagonal:1.5", "tridiagonal:99999999999", "tridiagonal:noise=1"}) {
    EXPECT_THAT(refusal_of_options(text), HasSubstr("D a whole number from 1 to 2147483647"));
  }
  EXPECT_THAT(refusal_of_options("tridiagonal:9:rate=1"),
              AllOf(HasSubstr("rate: unknown"), HasSubstr("noise, spread")));
  EXPECT_THAT(refusal_of_options("tridiagonal:9:nois=1"), HasSubstr("did you mean noise?"));
  for (const char* value : {"noise", "noise=", "noise=-1", "spread=nan", "spread=inf", "spread=1x"}) {
    EXPECT_THAT(refusal_of_options(std::string("tridiagonal:9:") + value),
                HasSubstr("a finite number of at least 0"));
  }
  EXPECT_THAT(refusal_of_options("tridiagonal:9:noise=1:noise=1"), HasSubstr("noise is given twice"));
}

}  // namespace
}  // namespace tardigrad::models
