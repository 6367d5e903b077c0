#include <gmock/gmock.h>

#include <set>

#include "models/classification.h"
#include "models/cuda/blueprint/blueprint.h"
#include "models/networks/network_file.h"
#include "tests/models/classification_problem.h"
#include "tests/models/cuda/cuda_gpu.h"

namespace tardigrad::models {
namespace {

using testing::evaluate;
using testing::gradient_of;
using testing::make;
using testing::relative_error;
using testing::share_bright_rows;

class CudaClassification : public testing::OnGpu<::testing::Test> {};

constexpr cuda::NetworkOptions repeatable{.deterministic = true};

/// Of the last `jobs` of a worker, all on one pair of vectors, as workers have them.
std::vector<std::vector<float>> gradients(Classification& classification, Device device, int jobs) {
  const Stream owner(device, "test");
  const StreamRef stream = owner;
  const auto engine = classification.make_engine(stream);
  std::vector<float> values(classification.dimension());
  classification.initialise(values, 3);
  Buffer<float> model(stream, values.size());
  Buffer<float> gradient(stream, values.size());
  const PinnedBuffer<float> loss(device, 1);
  stream.copy(model.ref(), host_view(values.data(), values.size()));
  std::vector<std::vector<float>> result;
  for (int job = 0; job < jobs; ++job) {
    engine->enqueue_minibatch(0, static_cast<std::uint64_t>(job));
    engine->enqueue_gradient(0, model.ref(), gradient.ref(), loss.data());
    result.emplace_back(values.size());
    stream.copy(host_view(result.back().data(), values.size()), gradient.ref());
  }
  stream.synchronize();
  return result;
}

TEST_F(CudaClassification, ComputesTheGradientsOfACpu) {
  for (const bool augment : {false, true}) {
    auto classification = make(
        {.workers = 2, .batch_size = 8, .partition = data::Dirichlet{0.3}, .augment = augment, .seed = 5});
    const auto expected = gradients(classification, Device{}, 12);
    const auto computed = gradients(classification, gpu, 12);  // more jobs than minibatches are drawn ahead
    for (std::size_t job = 0; job < expected.size(); ++job) {
      EXPECT_LT(relative_error(computed[job], expected[job]), testing::tolerance(Precision::fp32))
          << "job " << job << (augment ? ", augmented" : "");
    }
  }
}

TEST_F(CudaClassification, WorkersHaveMinibatchesOfTheirOwnSizes) {
  const auto with = [](const data::BatchSizes& sizes) {
    return make(
        {.workers = 2, .batch_size = sizes, .partition = data::Dirichlet{0.3}, .network = repeatable});
  };
  auto mixed = with(data::BatchSizes({8, 2}));
  const Stream stream(gpu, "test");
  const auto engine = mixed.make_engine(stream);
  for (const int worker : {0, 1}) {
    auto alone = with(worker == 0 ? 8 : 2);
    EXPECT_EQ(gradient_of(mixed, *engine, stream, worker, 3),
              gradient_of(alone, *alone.make_engine(stream), stream, worker, 3))
        << worker;
  }
}

TEST_F(CudaClassification, AJobIsTheSameOnEveryEngineOfADevice) {
  auto classification =
      make({.workers = 3, .batch_size = 8, .partition = data::Dirichlet{0.3}, .network = repeatable});
  const Stream first(gpu, "first");
  const Stream second(gpu, "second");
  testing::expect_one_job_on_every_engine(classification, first, second);
}

TEST_F(CudaClassification, GivesTheSameBitsWithAndWithoutGraphs) {
  const auto dataset = share_bright_rows(100);
  std::set<std::vector<std::vector<float>>> results;
  for (const bool graphs : {true, false}) {
    auto classification = make({.workers = 1,
                                .batch_size = 2,
                                .partition = {},
                                .network = {.deterministic = true, .graphs = graphs}},
                               dataset, "cnn");
    results.insert(gradients(classification, gpu, 4));
  }
  EXPECT_EQ(results.size(), 1U);
}

TEST_F(CudaClassification, EvaluatesLikeACpu) {
  const auto dataset = share_bright_rows(100);
  auto on_cpu = make({.workers = 1, .batch_size = 8, .partition = {}}, dataset);
  auto on_gpu = make({.workers = 1, .batch_size = 8, .partition = {}, .evaluation_device = gpu}, dataset);
  const auto [loss, accuracy] = evaluate(on_cpu);
  const auto evaluated = evaluate(on_gpu);
  EXPECT_NEAR(evaluated.first, loss, 1e-5 * loss);
  EXPECT_NEAR(evaluated.second, accuracy, 1.5 / 613);  // one example may be decided by rounding
  EXPECT_EQ(evaluate(on_gpu), evaluated);

  const std::vector<float> zero(on_gpu.dimension(), 0.0F);
  EXPECT_DOUBLE_EQ(on_gpu.evaluate(zero).accuracy.value(), 62.0 / 613);  // ties, as on a CPU
  EXPECT_EQ(on_gpu.evaluate(zero).class_accuracy, on_cpu.evaluate(zero).class_accuracy);
}

TEST_F(CudaClassification, DeterministicEnginesOfEveryPrecisionRepeatTheirBits) {
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    std::set<std::vector<std::vector<float>>> results;
    for (int run = 0; run < 2; ++run) {
      auto classification = make({.workers = 1,
                                  .batch_size = 8,
                                  .partition = {},
                                  .network = {.precision = precision, .deterministic = true}});
      results.insert(gradients(classification, gpu, 3));
    }
    EXPECT_EQ(results.size(), 1U) << name_of(precision);
  }
}

TEST(CudaClassificationMemory, IsReckonedWithoutAGpu) {
  constexpr Device gpu{Backend::cuda, 0};
  const cuda::NetworkOptions network{.workspace_limit = 1000};
  const auto dataset = share_bright_rows(100);
  const auto small = make({.workers = 1, .batch_size = 16, .partition = {}, .network = network}, dataset);
  const auto large = make({.workers = 1, .batch_size = 32, .partition = {}, .network = network}, dataset);
  const std::size_t images = 100 * 784 * 4;  // float
  EXPECT_EQ(small.engine_memory(gpu).shared_bytes, 100U * (784 + 2));
  EXPECT_GT(small.engine_memory(gpu).engine_bytes, 1000 + 16U * 784 * sizeof(float));
  EXPECT_LT(small.engine_memory(gpu).engine_bytes, images);
  EXPECT_GT(large.engine_memory(gpu).engine_bytes, small.engine_memory(gpu).engine_bytes);

  const auto mixed =
      make({.workers = 3, .batch_size = data::BatchSizes({16, 32, 16}), .partition = {}, .network = network},
           dataset);
  const std::vector<int> second{1};
  EXPECT_EQ(mixed.engine_memory(gpu, second).engine_bytes, large.engine_memory(gpu).engine_bytes);
  EXPECT_EQ(mixed.engine_memory(gpu).engine_bytes,
            small.engine_memory(gpu).engine_bytes + large.engine_memory(gpu).engine_bytes);

  const auto evaluating =
      make({.workers = 1, .batch_size = 16, .partition = {}, .evaluation_device = gpu, .network = network},
           dataset);
  EXPECT_GT(evaluating.engine_memory(gpu).shared_bytes, small.engine_memory(gpu).shared_bytes + 613 * 785);
  EXPECT_EQ(evaluating.engine_memory({Backend::cuda, 1}).shared_bytes, small.engine_memory(gpu).shared_bytes);
}

/// 500 images would have 2^34 elements behind the convolution.
TEST(CudaClassificationMemory, EvaluatesFewerImagesOfALargeNetwork) {
  constexpr Device gpu{Backend::cuda, 0};
  const auto dataset = share_bright_rows(100);
  const Classification large(
      dataset,
      parse_network("wide", "wide",
                    "layers = [{conv = 65536, kernel = 1}, \"global_avg_pool\", {linear = 10}]",
                    dataset->train.shape, dataset->classes),
      {.workers = 1, .batch_size = 1, .partition = {}, .evaluation_device = gpu, .network = repeatable});
  EXPECT_GT(large.engine_memory(gpu).shared_bytes, 2U * 65536 * 784 * sizeof(float));
  EXPECT_LT(large.engine_memory(gpu).shared_bytes, std::size_t{3} << 30);
}

}  // namespace
}  // namespace tardigrad::models
