#include "data/partition.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "kernels/random.h"
#include "tests/data/temporary_folder.h"

namespace tardigrad::data {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

using Labels = std::vector<Label>;
using Parts = std::vector<std::vector<std::uint32_t>>;

constexpr int classes = 10;

/// `size` labels, each class as often as the others up to one, in random order.
Labels mixed_labels(std::size_t size) {
  Labels labels(size);
  for (std::size_t i = 0; i < size; ++i) labels[i] = static_cast<Label>(i % classes);
  Random({1, 2, 3, 4}).shuffle(std::span(labels));
  return labels;
}

void expect_every_example_once_in_order(const Parts& parts, std::size_t size) {
  std::vector<std::uint32_t> all;
  for (const auto& part : parts) {
    EXPECT_TRUE(std::ranges::is_sorted(part));
    all.insert(all.end(), part.begin(), part.end());
  }
  std::ranges::sort(all);
  std::vector<std::uint32_t> expected(size);
  std::iota(expected.begin(), expected.end(), 0U);
  EXPECT_EQ(all, expected);
}

std::size_t size_spread(const Parts& parts) {
  const auto [smallest, largest] = std::ranges::minmax(parts, {}, &Parts::value_type::size);
  return largest.size() - smallest.size();
}

/// The mean over the workers of the largest share a class has of a worker's examples: 1 where each holds one
/// class only, 1 / classes where all are alike.
double mean_largest_share(const Parts& parts, const Labels& labels) {
  double sum = 0;
  for (const auto& part : parts) {
    std::vector<double> counts(classes);
    for (const std::uint32_t example : part) ++counts[labels[example]];
    sum += std::ranges::max(counts) / static_cast<double>(part.size());
  }
  return sum / static_cast<double>(parts.size());
}

TEST(Partition, ParsesItsThreeKinds) {
  EXPECT_EQ(parse_partition("iid"), PartitionSpec(Iid{}));
  EXPECT_EQ(parse_partition("dirichlet:0.1"), PartitionSpec(Dirichlet{0.1}));
  EXPECT_EQ(parse_partition("dirichlet:1e-3"), PartitionSpec(Dirichlet{1e-3}));
  EXPECT_EQ(parse_partition("shards:2"), PartitionSpec(Shards{2}));
}

TEST(Partition, RefusesWhatItCannotParse) {
  for (const std::string text :
       {"", "IID", "iid:1", "dirichlet", "dirichlet:", "dirichlet:0", "dirichlet:-1", "dirichlet:nan",
        "dirichlet:inf", "dirichlet:1e999", "dirichlet:0.1x", "dirichlet: 1", "shards", "shards:", "shards:0",
        "shards:-1", "shards:1.5", "shards:99999999999", "label:2"}) {
    EXPECT_THAT(error_of([&] { parse_partition(text); }),
                AllOf(HasSubstr("'" + text + "'"), HasSubstr("expected iid, dirichlet:ALPHA"),
                      HasSubstr("shards:K")));
  }
}

class EveryPartition : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryPartition, UsesEveryExampleOnceInFileOrder) {
  const PartitionSpec spec = parse_partition(GetParam());
  for (const std::size_t size : {60U, 997U, 5000U}) {
    for (const int workers : {1, 7, 10, 20}) {
      const Parts parts = partition(mixed_labels(size), classes, workers, spec, 1);
      SCOPED_TRACE(std::to_string(size) + " examples, " + std::to_string(workers) + " workers");
      EXPECT_THAT(parts, SizeIs(workers));
      expect_every_example_once_in_order(parts, size);
      const Shards* const shards = std::get_if<Shards>(&spec);
      EXPECT_LE(size_spread(parts), shards == nullptr ? 1U : static_cast<std::size_t>(shards->per_worker));
    }
  }
}

TEST_P(EveryPartition, DependsOnTheSeedAndNothingElse) {
  const PartitionSpec spec = parse_partition(GetParam());
  const Labels labels = mixed_labels(1000);
  const Parts parts = partition(labels, classes, 10, spec, 1);
  EXPECT_EQ(partition(labels, classes, 10, spec, 1), parts);
  EXPECT_NE(partition(labels, classes, 10, spec, 2), parts);
}

TEST_P(EveryPartition, TakesOneExampleAWorker) {
  const auto spec = parse_partition(GetParam());
  const int per_worker = std::holds_alternative<Shards>(spec) ? std::get<Shards>(spec).per_worker : 1;
  const std::size_t size = 50 * static_cast<std::size_t>(per_worker);
  const Parts parts = partition(mixed_labels(size), classes, 50, spec, 1);
  EXPECT_THAT(parts, Each(SizeIs(per_worker)));
  expect_every_example_once_in_order(parts, size);
}

TEST_P(EveryPartition, GivesTenThousandWorkersTheirExamples) {
  const Parts parts = partition(mixed_labels(60000), classes, 10000, parse_partition(GetParam()), 1);
  EXPECT_THAT(parts, Each(SizeIs(6)));
  expect_every_example_once_in_order(parts, 60000);
}

TEST_P(EveryPartition, RefusesMoreWorkersThanExamples) {
  const auto spec = parse_partition(GetParam());
  EXPECT_THAT(error_of([&] { partition(mixed_labels(9), classes, 10, spec, 1); }),
              HasSubstr("10 workers, expected at most 9"));
  EXPECT_THAT(error_of([&] { partition({}, classes, 1, spec, 1); }),
              HasSubstr("1 workers, expected at most 0"));
  EXPECT_THAT(error_of([&] { partition(mixed_labels(9), classes, 0, spec, 1); }),
              HasSubstr("0 workers, expected at least 1"));
}

TEST_P(EveryPartition, RefusesLabelBeyondTheClasses) {
  EXPECT_THAT(error_of([&] {
                partition(Labels{0, 1, 2, 3}, 3, 1, parse_partition(GetParam()), 1);
              }),
              HasSubstr("label 3 to partition, expected 0 to 2"));
}

INSTANTIATE_TEST_SUITE_P(Partition, EveryPartition,
                         ::testing::Values("iid", "dirichlet:1e-320", "dirichlet:1e-3", "dirichlet:0.1",
                                           "dirichlet:1", "dirichlet:1e6", "dirichlet:1e308", "shards:1",
                                           "shards:2", "shards:3"));

TEST(Partition, SmallerAlphaIsMoreHeterogeneous) {
  const Labels labels = mixed_labels(20'000);
  const auto share = [&](const std::string& text) {
    return mean_largest_share(partition(labels, classes, 20, parse_partition(text), 1), labels);
  };
  // The largest of ten proportions is on average 1.0, 0.66 and 0.12 before classes run out; workers that come
  // late are left with fewer classes, which adds to it. The bounds leave room for that and for the draw.
  EXPECT_GT(share("dirichlet:1e-3"), 0.85);
  const double skewed = share("dirichlet:0.1");
  EXPECT_GT(skewed, 0.5);
  EXPECT_LT(skewed, 0.85);
  EXPECT_LT(share("dirichlet:100"), 0.25);
  EXPECT_LT(share("dirichlet:1e6"), 0.15);
  EXPECT_LT(share("iid"), 0.15);
}

TEST(Partition, TinyAlphaGivesEachWorkerOneClassWhileItLasts) {
  // Nothing runs out for the first worker, which takes 100 of 1000 examples of each class.
  const Labels labels = mixed_labels(10'000);
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    const Parts parts = partition(labels, classes, 100, Dirichlet{1e-6}, seed);
    std::set<Label> held;
    for (const std::uint32_t example : parts[0]) held.insert(labels[example]);
    EXPECT_THAT(held, SizeIs(1));
  }
}

TEST(Partition, ShardsHoldFewClasses) {
  const Labels labels = mixed_labels(10'000);
  for (const int per_worker : {1, 2, 3}) {
    // 20 workers: 1000 examples a class, slices of at most 500, so a slice meets at most two classes, and
    // only those at a class boundary do.
    const Parts parts = partition(labels, classes, 20, Shards{per_worker}, 1);
    for (const auto& part : parts) {
      std::set<Label> held;
      for (const std::uint32_t example : part) held.insert(labels[example]);
      EXPECT_LE(held.size(), static_cast<std::size_t>(per_worker) + 1);
    }
  }
}

TEST(Partition, OneShardAWorkerIsOneClassAWorker) {
  const Labels labels = mixed_labels(10'000);
  const Parts parts = partition(labels, classes, classes, Shards{1}, 1);
  std::set<int> workers;
  for (const ClassHolder& holder : class_holders(parts, labels, classes)) {
    EXPECT_EQ(holder.share, 1);
    workers.insert(holder.worker);
  }
  EXPECT_THAT(workers, SizeIs(classes));
}

TEST(Partition, AClassIsHeldByWhoeverHasMostOfIt) {
  const Labels labels = {0, 0, 0, 0, 2, 2, 3, 3};
  const std::vector<ClassHolder> holders = class_holders({{4, 6}, {0, 1, 2, 7}, {3, 5}}, labels, 4);
  ASSERT_THAT(holders, SizeIs(4));
  EXPECT_EQ(holders[0].worker, 1);
  EXPECT_EQ(holders[0].share, 0.75);
  EXPECT_EQ(holders[1].share, 0);   // nobody has what is not there
  EXPECT_EQ(holders[2].worker, 0);  // the first of equals
  EXPECT_EQ(holders[2].share, 0.5);
}

TEST(Partition, ShardsRefuseMoreSlicesThanExamples) {
  EXPECT_THAT(error_of([] { partition(mixed_labels(29), classes, 10, Shards{3}, 1); }),
              HasSubstr("partition shards:3: 10 workers need 30 slices, expected at most 29"));
}

TEST(Partition, AFileSaysWhoHasWhat) {
  const TemporaryFolder folder;
  const auto assigned = [&](const std::string& text, int workers) {
    const auto path = folder.write("who.csv", bytes_of(text));
    return partition(Labels{0, 1, 2, 0}, 3, workers, parse_partition("file:" + path.string()), 1);
  };
  EXPECT_EQ(assigned("example,worker\n2,0\n0,1\n3,0\n1,1\n", 2), (Parts{{2, 3}, {0, 1}}));
  EXPECT_EQ(assigned("1\n\n0\r\n1\n1", 2), (Parts{{1}, {0, 2, 3}}));
  const auto refusal = [&](const std::string& text) { return error_of([&] { assigned(text, 2); }); };
  EXPECT_THAT(refusal("0\n1\n1\n"), HasSubstr("who.csv: example 3 has no worker, expected one for each of"));
  EXPECT_THAT(refusal("0\n0\n0\n0\n"), HasSubstr("who.csv: worker 1 has no examples, expected some"));
  EXPECT_THAT(refusal("0,0\n0,1\n"), HasSubstr("who.csv:2: example 0 has worker 0 already"));
  EXPECT_THAT(refusal("4,0\n"), HasSubstr("who.csv:1: example 4, expected 0 to 3, the training examples"));
  EXPECT_THAT(refusal("0,2\n"), HasSubstr("who.csv:1: worker 2, expected 0 to 1, the workers of the run"));
  EXPECT_THAT(refusal("0,0\none,two\n"),
              HasSubstr("who.csv:2: 'one,two', expected EXAMPLE,WORKER or WORKER"));
  EXPECT_THAT(error_of([] {
                partition(Labels{0, 1}, 2, 1, Assigned{"nowhere.csv"}, 1);
              }),
              HasSubstr("nowhere.csv: cannot be opened"));
}

TEST(Partition, StaysAsItIs) {
  // Recorded runs name a seed: the examples it stands for must never change, whatever the platform.
  // Those of Iid and Shards agree with a second implementation, in Python.
  const Labels labels = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
  EXPECT_EQ(partition(labels, 3, 3, Iid{}, 1), (Parts{{5, 6, 8, 11}, {0, 2, 3, 7}, {1, 4, 9, 10}}));
  EXPECT_EQ(partition(labels, 3, 3, Dirichlet{1}, 1), (Parts{{1, 3, 5, 6}, {0, 2, 7, 9}, {4, 8, 10, 11}}));
  EXPECT_EQ(partition(labels, 3, 3, Shards{2}, 1), (Parts{{6, 8, 9, 11}, {0, 3, 7, 10}, {1, 2, 4, 5}}));
}

}  // namespace
}  // namespace tardigrad::data
