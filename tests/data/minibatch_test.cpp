#include "data/minibatch.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/random.h"
#include "tests/data/temporary_folder.h"

namespace tardigrad::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Indices = std::vector<std::uint32_t>;

/// 100, 103, 106, …: a share whose indices are not their positions.
Indices share_of(std::size_t size) {
  Indices share(size);
  for (std::size_t i = 0; i < size; ++i) share[i] = static_cast<std::uint32_t>(100 + 3 * i);
  return share;
}

Indices draw(MinibatchStream& stream, std::uint64_t job) {
  Indices batch(stream.batch_size());
  stream.draw(job, batch);
  return batch;
}

/// The minibatches of jobs 0 to `jobs` - 1, one after the other.
Indices draw_all(MinibatchStream& stream, std::uint64_t jobs) {
  Indices all;
  for (std::uint64_t job = 0; job < jobs; ++job) {
    const Indices batch = draw(stream, job);
    all.insert(all.end(), batch.begin(), batch.end());
  }
  return all;
}

TEST(Minibatch, ParsesSampling) {
  EXPECT_EQ(parse_sampling("shuffle"), Sampling::shuffle);
  EXPECT_EQ(parse_sampling("replacement"), Sampling::replacement);
  EXPECT_EQ(parse_sampling("sequential"), Sampling::sequential);
  EXPECT_THAT(error_of([] { parse_sampling("random"); }),
              AllOf(HasSubstr("'random'"), HasSubstr("expected shuffle, replacement or sequential")));
}

TEST(Minibatch, SequentialWalksInFileOrderAndWraps) {
  const Indices share = {4, 7, 9, 20, 21};
  MinibatchStream stream(share, 3, Sampling::sequential, 1, 0);
  EXPECT_EQ(stream.example_count(), 5U);
  EXPECT_THAT(draw(stream, 0), ElementsAre(4, 7, 9));
  EXPECT_THAT(draw(stream, 1), ElementsAre(20, 21, 4));
  EXPECT_THAT(draw(stream, 2), ElementsAre(7, 9, 20));
  MinibatchStream large(share, 12, Sampling::sequential, 1, 0);
  EXPECT_THAT(draw(large, 1), ElementsAre(9, 20, 21, 4, 7, 9, 20, 21, 4, 7, 9, 20));
}

TEST(Minibatch, ShuffleCoversTheShareInEveryPass) {
  const Indices share = share_of(30);
  for (const std::size_t batch_size : {1U, 4U, 7U, 30U, 31U, 75U}) {
    MinibatchStream stream(share, batch_size, Sampling::shuffle, 1, 0);
    Indices drawn = draw_all(stream, 300 / batch_size + 1);
    std::vector<Indices> passes;
    for (std::size_t begin = 0; begin + share.size() <= drawn.size(); begin += share.size()) {
      const auto pass = std::span(drawn).subspan(begin, share.size());
      passes.emplace_back(pass.begin(), pass.end());
      std::ranges::sort(pass);
      EXPECT_EQ(Indices(pass.begin(), pass.end()), share)
          << "batch size " << batch_size << ", from " << begin;
    }
    ASSERT_GE(passes.size(), 10U);
    EXPECT_NE(passes[0], share);      // Not in file order,
    EXPECT_NE(passes[0], passes[1]);  // and each pass in an order of its own.
  }
}

TEST(Minibatch, ShuffleDoesNotDependOnTheBatchSize) {
  const Indices share = share_of(30);
  MinibatchStream fives(share, 5, Sampling::shuffle, 1, 0);
  MinibatchStream sevens(share, 7, Sampling::shuffle, 1, 0);
  EXPECT_EQ(draw_all(fives, 28), draw_all(sevens, 20));
}

class EverySampling : public ::testing::TestWithParam<Sampling> {};

TEST_P(EverySampling, AnyOrderOfCallsGivesTheSame) {
  const Indices share = share_of(25);
  for (const std::size_t batch_size : {4U, 60U}) {
    MinibatchStream in_order(share, batch_size, GetParam(), 1, 3);
    std::vector<Indices> batches;
    for (std::uint64_t job = 0; job < 40; ++job) batches.push_back(draw(in_order, job));

    std::vector<std::uint64_t> jobs(batches.size());
    std::iota(jobs.begin(), jobs.end(), 0U);
    Random({1, 2, 3, 4}).shuffle(std::span(jobs));
    MinibatchStream at_random(share, batch_size, GetParam(), 1, 3);
    for (const std::uint64_t job : jobs) EXPECT_EQ(draw(at_random, job), batches[job]) << "job " << job;
  }
}

TEST_P(EverySampling, OneExampleIsEnough) {
  const Indices share = {5};
  MinibatchStream stream(share, 3, GetParam(), 1, 0);
  EXPECT_THAT(draw(stream, 0), ElementsAre(5, 5, 5));
  EXPECT_THAT(draw(stream, 1'000'000'000'000), ElementsAre(5, 5, 5));
}

TEST_P(EverySampling, RefusesNothingToDrawOrNoRoom) {
  const Indices share = share_of(5);
  EXPECT_THAT(error_of([&] { MinibatchStream({}, 1, GetParam(), 1, 7); }),
              HasSubstr("worker 7 has no examples"));
  EXPECT_THAT(error_of([&] { MinibatchStream(share, 0, GetParam(), 1, 0); }), HasSubstr("batch size 0"));
  MinibatchStream stream(share, 4, GetParam(), 1, 0);
  Indices three(3);
  EXPECT_THAT(error_of([&] { stream.draw(0, three); }), HasSubstr("minibatch of 3, expected 4"));
}

INSTANTIATE_TEST_SUITE_P(Minibatch, EverySampling,
                         ::testing::Values(Sampling::shuffle, Sampling::replacement, Sampling::sequential));

TEST(Minibatch, SeedAndWorkerEachGiveAnotherStream) {
  const Indices share = share_of(100);
  for (const Sampling sampling : {Sampling::shuffle, Sampling::replacement}) {
    const auto first_batch = [&](std::uint64_t seed, int worker) {
      MinibatchStream stream(share, 20, sampling, seed, worker);
      return draw(stream, 0);
    };
    EXPECT_EQ(first_batch(1, 2), first_batch(1, 2));
    EXPECT_NE(first_batch(1, 2), first_batch(2, 2));
    EXPECT_NE(first_batch(1, 2), first_batch(1, 3));
    EXPECT_NE(first_batch(1, 2), first_batch(2, 1));
  }
}

TEST(Minibatch, ReplacementIsUniform) {
  const Indices share = share_of(50);
  MinibatchStream stream(share, 32, Sampling::replacement, 1, 0);
  const Indices drawn = draw_all(stream, 2000);
  std::map<std::uint32_t, double> counts;
  for (const std::uint32_t example : drawn) ++counts[example];
  ASSERT_EQ(counts.size(), share.size());
  const double expected = static_cast<double>(drawn.size()) / static_cast<double>(share.size());
  double chi_square = 0;
  for (const auto& [example, count] : counts) chi_square += std::pow(count - expected, 2) / expected;
  // 49 degrees of freedom: outside these bounds with probability 1e-4 each. Too even is as wrong as too
  // uneven.
  EXPECT_LT(chi_square, 94.5);
  EXPECT_GT(chi_square, 19.2);
}

TEST(Minibatch, StaysAsItIs) {
  // Recorded runs name a seed: the minibatches it stands for must never change, whatever the platform.
  // These agree with a second implementation, in Python.
  const Indices share = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  MinibatchStream shuffled(share, 10, Sampling::shuffle, 1, 0);
  EXPECT_THAT(draw(shuffled, 0), ElementsAre(3, 7, 0, 5, 8, 2, 6, 4, 1, 9));
  MinibatchStream replaced(share, 10, Sampling::replacement, 1, 0);
  EXPECT_THAT(draw(replaced, 0), ElementsAre(8, 1, 2, 2, 9, 6, 2, 2, 7, 5));
}

}  // namespace
}  // namespace tardigrad::data
