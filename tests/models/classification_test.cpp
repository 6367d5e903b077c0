#include "models/classification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "models/networks/built_in_networks.h"
#include "models/networks/network_file.h"
#include "runtime/objective/epochs.h"
#include "tests/models/classification_problem.h"

namespace tardigrad::models {
namespace {

using testing::bright_rows;
using testing::evaluate;
using testing::gradient_of;
using testing::make;
using testing::share_bright_rows;

TEST(Classification, AJobIsTheSameOnEveryEngine) {
  auto classification = make({.workers = 3, .batch_size = 8, .partition = data::Dirichlet{0.3}, .seed = 5});
  Stream first(Device{}, "first");
  Stream second(Device{Backend::cpu, 1}, "second");
  testing::expect_one_job_on_every_engine(classification, first, second);
}

/// A network that drops most of what goes through it.
Classification make_with_dropout(const ClassificationOptions& options) {
  const auto dataset = share_bright_rows(100);
  auto architecture =
      parse_network("drops", "drops", "layers = [\"flatten\", {dropout = 0.8}, {linear = \"classes\"}]",
                    dataset->train.shape, dataset->classes);
  return Classification(dataset, std::move(architecture), options);
}

// All examples are in every minibatch: what differs from job to job are the masks.
TEST(Classification, MasksOfDropoutBelongToTheJobAndNotToTheEngine) {
  ClassificationOptions options{
      .workers = 1, .batch_size = 100, .partition = {}, .sampling = data::Sampling::sequential, .seed = 5};
  auto classification = make_with_dropout(options);
  Stream first(Device{}, "first");
  Stream second(Device{Backend::cpu, 1}, "second");
  const auto one = classification.make_engine(first);
  const auto other = classification.make_engine(second);
  const auto expected = gradient_of(classification, *one, first, 0, 7);
  EXPECT_NE(gradient_of(classification, *other, second, 0, 8), expected);
  EXPECT_EQ(gradient_of(classification, *other, second, 0, 7), expected);
  options.seed = 6;
  auto reseeded = make_with_dropout(options);
  EXPECT_NE(gradient_of(reseeded, *reseeded.make_engine(first), first, 0, 7), expected);
}

TEST(Classification, EvaluatesWithoutDropout) {
  const ClassificationOptions options{.workers = 1, .batch_size = 8, .partition = {}};
  auto classification = make_with_dropout(options);
  Stream stream(Device{}, "test");
  gradient_of(classification, *classification.make_engine(stream), stream, 0, 0);
  auto without = make(options, share_bright_rows(100), "logistic");  // the same but for dropout
  EXPECT_EQ(evaluate(classification), evaluate(without));
  std::vector<float> model(classification.dimension());
  classification.initialise(model, 3);
  std::vector<double> gradient(model.size());
  std::vector<double> expected(model.size());
  EXPECT_EQ(classification.full_gradient(model, gradient), without.full_gradient(model, expected));
  EXPECT_EQ(gradient, expected);
}

// A batch as large as the share, in file order, is the whole of f_i; its loss is the mean over those
// examples.
TEST(Classification, AMinibatchIsGatheredAndNormalised) {
  auto classification =
      make({.workers = 1, .batch_size = 20, .partition = {}, .sampling = data::Sampling::sequential}, 20);
  Stream stream(Device{}, "test");
  const auto engine = classification.make_engine(stream);
  const auto [gradient, loss] = gradient_of(classification, *engine, stream, 0, 0);

  const data::Dataset dataset = bright_rows(20);
  std::vector<float> images(20 * 784);
  for (std::size_t i = 0; i < images.size(); ++i) {
    images[i] = (static_cast<float>(dataset.train.pixels[i]) / 255 - 0.25F) / 0.5F;
  }
  const std::vector<std::int32_t> labels(dataset.train.labels.begin(), dataset.train.labels.end());
  const Architecture architecture = make_architecture("mlp", dataset.train.shape, 10);
  std::vector<float> model(classification.dimension());
  classification.initialise(model, 3);
  std::vector<float> expected(model.size());
  const float expected_loss = make_classifier(architecture, 20)
                                  ->gradient(model.data(), images.data(), labels.data(), expected.data());
  EXPECT_NEAR(loss, expected_loss, 1e-6F);
  // Pixels are scaled by one multiply-add here and by two divisions there: they differ in the last bit.
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(gradient[i]) - static_cast<double>(expected[i]), 2);
    norm += std::pow(static_cast<double>(expected[i]), 2);
  }
  EXPECT_LT(std::sqrt(difference / norm), 1e-6);
}

TEST(Classification, EvaluatesEveryTestImageOnce) {
  auto classification = make({.workers = 1, .batch_size = 8, .partition = {}});
  const std::vector<float> zero(classification.dimension(), 0.0F);
  const Evaluation evaluation = classification.evaluate(zero);
  EXPECT_NEAR(evaluation.loss, std::log(10), 1e-6);  // all logits 0
  // The first class wins ties: images 0, 10, … 610.
  EXPECT_DOUBLE_EQ(evaluation.accuracy.value(), 62.0 / 613);
  std::vector<std::optional<double>> classes(10, 0.0);
  classes[0] = 1.0;
  EXPECT_EQ(evaluation.class_accuracy, classes);
}

TEST(Classification, CountsTheMemoryOfNetworksOnACpu) {
  const auto memory = [](const ClassificationOptions& options) {
    const auto classification = make(options);
    return classification.engine_memory(Device{});
  };
  // A minibatch's images, and in the network the images, as features, too, 128 twice, and 10.
  constexpr std::size_t image = (784 + 784 + 784 + 128 + 128 + 10) * sizeof(float);
  EXPECT_EQ(memory({.workers = 1, .batch_size = 8, .partition = {}}).engine_bytes, 8 * image);
  EXPECT_EQ(memory({.workers = 1, .batch_size = 8, .partition = {}, .evaluation_threads = 3}).shared_bytes,
            3 * 250 * image);
}

TEST(Classification, EvaluatesTheSameOnAnyNumberOfThreads) {
  const auto with_threads = [](int threads) {
    auto classification =
        make({.workers = 1, .batch_size = 8, .partition = {}, .evaluation_threads = threads});
    return evaluate(classification);
  };
  const auto expected = with_threads(0);
  for (const int threads : {1, 2, 7}) EXPECT_EQ(with_threads(threads), expected) << threads;
  EXPECT_THROW(with_threads(-1), std::invalid_argument);
}

/// f and ∇f at the first model.
std::pair<double, std::vector<double>> full_gradient(Classification& classification) {
  std::vector<float> model(classification.dimension());
  classification.initialise(model, 3);
  std::vector<double> gradient(model.size());
  const double value = classification.full_gradient(model, gradient);
  // With the gradient come losses of batches rounded to fp32, of size 2.
  EXPECT_NEAR(classification.full_gradient(model, {}), value, 2e-7) << "f alone is another";
  return {value, gradient};
}

// Shares of one size weigh the same, so the mean of the workers' whole shares, in float64, is what is
// expected.
TEST(Classification, TheFullGradientIsTheMeanOfTheWorkersShares) {
  constexpr int workers = 2;
  constexpr int share = 310;  // two batches, the second not full
  const auto dataset = share_bright_rows(workers * share);
  auto classification = make({.workers = workers,
                              .batch_size = share,
                              .partition = data::Dirichlet{0.3},
                              .sampling = data::Sampling::sequential},
                             dataset);
  const auto [value, gradient] = full_gradient(classification);
  Stream stream(Device{}, "test");
  const auto engine = classification.make_engine(stream);
  std::vector<double> mean(gradient.size());
  double loss = 0;
  for (int worker = 0; worker < workers; ++worker) {
    const auto [of_worker, loss_of_worker] = gradient_of(classification, *engine, stream, worker, 0);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += static_cast<double>(of_worker[i]) / workers;
    loss += static_cast<double>(loss_of_worker) / workers;
  }
  EXPECT_NEAR(value, loss, 1e-6);  // batches of other sizes round otherwise
  double difference = 0;
  for (std::size_t i = 0; i < mean.size(); ++i) difference += std::pow(gradient[i] - mean[i], 2);
  const double norm_sq = std::inner_product(mean.begin(), mean.end(), mean.begin(), 0.0);
  EXPECT_LT(std::sqrt(difference / norm_sq), 1e-5);
  EXPECT_GT(norm_sq, 1e-3);
}

TEST(Classification, WorkersWeighTheSameWhateverTheirShares) {
  // 11 images over 2 workers: 6 and 5. All of one image by worker 1's share alone are worth 1/10 of f, not
  // 1/11.
  const ClassificationOptions options{
      .workers = 2, .batch_size = 1, .partition = {}, .sampling = data::Sampling::sequential};
  auto classification = make(options, 11);
  Stream stream(Device{}, "test");
  const auto engine = classification.make_engine(stream);
  double expected = 0;
  const auto shares = data::partition(bright_rows(11).train.labels, 10, 2, options.partition, options.seed);
  for (int worker = 0; worker < 2; ++worker) {
    const std::uint64_t share = shares[static_cast<std::size_t>(worker)].size();
    for (std::uint64_t job = 0; job < share; ++job) {
      const float loss = gradient_of(classification, *engine, stream, worker, job).second;
      expected += static_cast<double>(loss) / static_cast<double>(2 * share);
    }
  }
  EXPECT_NEAR(full_gradient(classification).first, expected, 1e-6);
}

TEST(Classification, TheFullGradientIsTheSameOnAnyNumberOfThreads) {
  const auto with_threads = [](int threads) {
    auto classification =
        make({.workers = 3, .batch_size = 8, .partition = data::Dirichlet{1}, .evaluation_threads = threads},
             1001);
    return full_gradient(classification);
  };
  const auto expected = with_threads(1);
  for (const int threads : {2, 7}) EXPECT_EQ(with_threads(threads), expected) << threads;
}

TEST(Classification, TheFullGradientLooksAtAsManyImagesAsAsked) {
  const auto bounded = [](std::size_t examples) {
    auto classification =
        make({.workers = 2, .batch_size = 8, .partition = {}, .evaluation_examples = examples}, 40);
    return full_gradient(classification).first;
  };
  EXPECT_EQ(bounded(0), bounded(40));
  EXPECT_EQ(bounded(0), bounded(1000));
  EXPECT_NE(bounded(0), bounded(10));
}

TEST(Classification, SeveralShareADataSetOnThreadsOfTheirOwn) {
  const ClassificationOptions options{
      .workers = 2, .batch_size = 8, .partition = {}, .evaluation_threads = 2};
  auto alone = make(options);
  Stream alone_stream(Device{}, "alone");
  const auto expected_gradient = gradient_of(alone, *alone.make_engine(alone_stream), alone_stream, 1, 3);
  const auto expected = evaluate(alone);

  auto dataset = share_bright_rows(100);
  std::vector<std::jthread> runs;
  for (int run = 0; run < 4; ++run) {
    runs.emplace_back([&, shared = dataset] {
      auto classification = make(options, shared);
      Stream stream(Device{}, "run");
      const auto engine = classification.make_engine(stream);
      EXPECT_EQ(gradient_of(classification, *engine, stream, 1, 3), expected_gradient);
      EXPECT_EQ(evaluate(classification), expected);
    });
  }
  dataset.reset();  // the runs keep it
}

TEST(Classification, MoreWorkersThanExamplesAreRefused) {
  EXPECT_THROW(make({.workers = 101, .batch_size = 8, .partition = {}}), std::invalid_argument);
}

TEST(Classification, CropsAndFlipsWhereAsked) {
  const auto gradient = [](bool augment, std::uint64_t seed) {
    auto classification = make({.workers = 1,
                                .batch_size = 8,
                                .partition = {},
                                .sampling = data::Sampling::sequential,
                                .augment = augment,
                                .seed = seed});
    Stream stream(Device{}, "test");
    return gradient_of(classification, *classification.make_engine(stream), stream, 0, 3).first;
  };
  EXPECT_NE(gradient(true, 1), gradient(false, 1));
  EXPECT_EQ(gradient(true, 1), gradient(true, 1));
  EXPECT_NE(gradient(true, 1), gradient(true, 2));  // the examples are the same
  EXPECT_EQ(gradient(false, 1), gradient(false, 2));
}

TEST(Classification, WorkersHaveMinibatchesOfTheirOwnSizes) {
  const auto with = [](const data::BatchSizes& sizes, bool augment) {
    return make({.workers = 3, .batch_size = sizes, .partition = data::Dirichlet{0.3}, .augment = augment});
  };
  for (const bool augment : {false, true}) {
    auto mixed = with(data::BatchSizes({8, 2, 8}), augment);
    Stream stream(Device{}, "test");
    const auto of_all = mixed.make_engine(stream);
    const std::vector<int> second{1};
    const auto of_second = mixed.make_engine(stream, second);
    for (const int worker : {0, 1, 2}) {
      auto alone = with(worker == 1 ? 2 : 8, augment);
      const auto expected = gradient_of(alone, *alone.make_engine(stream), stream, worker, 3);
      EXPECT_EQ(gradient_of(mixed, *of_all, stream, worker, 3), expected) << worker;
      if (worker == 1) {
        EXPECT_EQ(gradient_of(mixed, *of_second, stream, worker, 3), expected);
      }
    }
  }
  EXPECT_THROW(with(data::BatchSizes({8, 2}), false), std::invalid_argument);
}

TEST(Classification, ComputesInFp32OnACpu) {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    auto classification =
        make({.workers = 1, .batch_size = 8, .partition = {}, .network = {.precision = precision}});
    Stream stream(Device{}, "test");
    EXPECT_THROW(classification.make_engine(stream), std::invalid_argument);
  }
}

TEST(Classification, CountsEpochs) {
  const auto classification = make({.workers = 3, .batch_size = 8, .partition = {}});
  EXPECT_EQ(classification.examples(), 100U);
  EXPECT_EQ(classification.examples_per_job(0), 8U);
  EXPECT_EQ(examples_in(1, classification), 104U);  // no less than a pass, in whole jobs
  const auto mixed = make({.workers = 3, .batch_size = data::BatchSizes({8, 2, 6}), .partition = {}});
  EXPECT_EQ(mixed.examples_per_job(1), 2U);
  EXPECT_EQ(examples_in(1, mixed), 100U);
  EXPECT_EQ(examples_in(0.505, mixed), 52U);
  EXPECT_TRUE(classification.runs_on(Backend::cpu));
  EXPECT_EQ(classification.runs_on(Backend::cuda), built_with_cuda);
}

}  // namespace
}  // namespace tardigrad::models
