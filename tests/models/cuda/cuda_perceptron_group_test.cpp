#include <gmock/gmock.h>

#include <deque>

#include "models/classification.h"
#include "models/cuda/perceptron_group.h"
#include "models/networks/network_file.h"
#include "tests/models/classification_problem.h"
#include "tests/models/cuda/cuda_gpu.h"
#include "tests/models/cuda/cuda_reference.h"

namespace tardigrad::models {
namespace {

using cuda::PerceptronGroup;
using testing::gradient_of;
using testing::make;
using testing::OnDevice;
using testing::relative_error;

Architecture built_in(const std::string& name) { return make_architecture(name, {1, 28, 28}, 10); }

Architecture of_layers(const std::string& layers) {
  return parse_network("layers", "layers", "layers = [" + layers + "]", {1, 28, 28}, 10);
}

TEST(CudaPerceptron, IsWhatHasLinearLayersWithReluBetweenThem) {
  EXPECT_TRUE(PerceptronGroup::takes(built_in("mlp"), 4));
  EXPECT_TRUE(PerceptronGroup::takes(built_in("mlp:33,17"), 8));
  EXPECT_TRUE(PerceptronGroup::takes(built_in("logistic"), 1));
  EXPECT_FALSE(PerceptronGroup::takes(built_in("mlp"), 9));
  EXPECT_FALSE(PerceptronGroup::takes(built_in("mlp:2000"), 4));  // too many parameters
  EXPECT_FALSE(PerceptronGroup::takes(built_in("cnn"), 4));
  const auto takes = [](const std::string& layers) { return PerceptronGroup::takes(of_layers(layers), 4); };
  EXPECT_TRUE(takes(R"("flatten", {linear = 20}, "relu", {linear = 10})"));
  EXPECT_FALSE(takes(R"("flatten", {linear = 20}, {linear = 10})"));
  EXPECT_FALSE(takes(R"("flatten", {linear = 20}, "gelu", {linear = 10})"));
  EXPECT_FALSE(takes(R"("flatten", {linear = 20}, "relu", {dropout = 0.5}, {linear = 10})"));
  EXPECT_FALSE(takes(R"("flatten", {linear = 20}, "relu", "relu", {linear = 10})"));
  EXPECT_FALSE(takes(R"("flatten", {linear = 20}, "relu", {linear = 10}, "relu")"));
  EXPECT_FALSE(takes(R"("flatten", "relu", {linear = 10})"));
}

class CudaPerceptronGroup : public testing::OnGpu<::testing::Test> {};

/// Networks with parameters of their own in a group, as float64 has each of them. Some pixels and biases are
/// 0, so that hidden activations are exactly 0.
TEST_F(CudaPerceptronGroup, ComputesTheGradientsOfFloat64) {
  for (const char* const name : {"logistic", "mlp", "mlp:33,17", "mlp:900"}) {
    const Architecture architecture = built_in(name);
    const std::size_t dimension = architecture.layout().dimension();
    constexpr std::size_t jobs = 3;
    constexpr std::size_t batch = 5;
    const Stream owner(gpu, "test");
    const StreamRef stream = owner;
    PerceptronGroup group(stream, architecture, batch);
    const auto images = testing::small_integers(jobs * batch * 784, 1);
    std::vector<std::int32_t> labels;
    for (std::size_t i = 0; i < jobs * batch; ++i) labels.push_back(static_cast<std::int32_t>(i * 7 % 10));
    const auto put = [&](void* at, const auto& values) {
      using Number = typename std::decay_t<decltype(values)>::value_type;
      auto* const there = static_cast<Number*>(at);
      stream.copy(BufferRef<Number>(there, values.size(), gpu), host_view(values.data(), values.size()));
      stream.synchronize();
    };
    put(group.memory().images(), testing::to_numbers<float>(images));
    put(group.memory().labels(), labels);
    std::deque<OnDevice<float>> parameters;
    std::deque<OnDevice<float>> gradients;
    std::vector<PerceptronGroup::Job> of_jobs;
    for (std::size_t k = 0; k < jobs; ++k) {
      std::vector<float> values(dimension);
      initialise(architecture, values, k);
      std::fill(values.end() - 10, values.end(), 0.0F);
      parameters.emplace_back(stream, values);
      gradients.emplace_back(stream, std::vector<float>(dimension, -1));
      of_jobs.push_back({parameters[k].data(), gradients[k].data()});
    }
    OnDevice<float> losses(stream, std::vector<float>(jobs));
    testing::run_on(stream, [&](CudaStream native) { group.gradients(native, of_jobs, losses.data()); });
    for (std::size_t k = 0; k < jobs; ++k) {
      const auto begin = static_cast<std::ptrdiff_t>(k * batch);
      const auto expected =
          testing::reference_gradient(architecture, batch, testing::to_doubles(parameters[k].values()),
                                      {images.begin() + begin * 784, images.begin() + (begin + batch) * 784},
                                      {labels.begin() + begin, labels.begin() + begin + batch});
      EXPECT_LT(relative_error(testing::to_doubles(gradients[k].values()), expected.gradient),
                testing::tolerance(Precision::fp32))
          << name << ", job " << k;
      EXPECT_NEAR(static_cast<double>(losses.values()[k]), expected.loss, 1e-5 * expected.loss) << name;
    }
  }
}

/// The gradients and losses of a group of jobs, of several workers and one of them twice, from the first
/// model.
std::vector<std::pair<std::vector<float>, float>> gradients_of_group(Classification& classification,
                                                                     GradientEngine& engine,
                                                                     const StreamRef& stream,
                                                                     const std::vector<int>& workers) {
  std::vector<float> values(classification.dimension());
  classification.initialise(values, 3);
  OnDevice<float> model(stream, values);
  std::deque<OnDevice<float>> gradients;
  std::vector<GradientJob> jobs;
  for (std::size_t k = 0; k < workers.size(); ++k) {
    gradients.emplace_back(stream, std::vector<float>(values.size(), -1));
    jobs.push_back({workers[k], 7 + k, BufferRef<const float>(model.data(), values.size(), stream.device()),
                    BufferRef<float>(gradients[k].data(), values.size(), stream.device())});
  }
  const PinnedBuffer<float> losses(stream.device(), jobs.size());
  engine.enqueue_gradients(jobs, losses.data(), [] {});
  stream.synchronize();
  std::vector<std::pair<std::vector<float>, float>> all;
  for (std::size_t k = 0; k < jobs.size(); ++k) all.emplace_back(gradients[k].values(), losses.data()[k]);
  return all;
}

TEST_F(CudaPerceptronGroup, GivesEachJobTheBitsThatItHasAlone) {
  for (const bool augment : {false, true}) {
    auto classification =
        make({.workers = 3, .batch_size = 4, .partition = data::Dirichlet{0.3}, .augment = augment});
    EXPECT_EQ(classification.gradients_at_once(Backend::cuda), 16U);
    EXPECT_EQ(classification.gradients_at_once(Backend::cpu), 1U);
    const Stream stream(gpu, "test");
    const auto engine = classification.make_engine(stream);
    const std::vector<int> workers{2, 0, 1, 0, 2, 1, 1, 0, 2, 2, 0, 1, 0, 1, 2, 0};
    const auto together = gradients_of_group(classification, *engine, stream, workers);
    for (std::size_t k = 0; k < workers.size(); ++k) {
      // From the third time on by a graph.
      EXPECT_EQ(gradient_of(classification, *engine, stream, workers[k], 7 + k), together[k]) << "job " << k;
    }
    EXPECT_EQ(gradients_of_group(classification, *engine, stream, {2, 0, 1}),
              decltype(together)(together.begin(), together.begin() + 3));
  }
}

/// More groups than minibatches are drawn ahead.
TEST_F(CudaPerceptronGroup, KeepsEachMinibatchUntilItIsGathered) {
  auto classification = make({.workers = 2, .batch_size = 2, .partition = data::Dirichlet{0.3}});
  const Stream owner(gpu, "test");
  const StreamRef stream = owner;
  const auto engine = classification.make_engine(stream);
  std::vector<float> values(classification.dimension());
  classification.initialise(values, 3);
  OnDevice<float> model(stream, values);
  constexpr std::size_t groups = 12;
  std::deque<OnDevice<float>> gradients;
  const PinnedBuffer<float> losses(gpu, 2 * groups);
  for (std::size_t k = 0; k < 2 * groups; ++k) {
    gradients.emplace_back(stream, std::vector<float>(values.size(), -1));
  }
  for (std::size_t group = 0; group < groups; ++group) {
    std::vector<GradientJob> jobs;
    for (std::size_t k = 2 * group; k < 2 * group + 2; ++k) {
      jobs.push_back({static_cast<int>(k % 2), group,
                      BufferRef<const float>(model.data(), values.size(), gpu),
                      BufferRef<float>(gradients[k].data(), values.size(), gpu)});
    }
    engine->enqueue_gradients(jobs, losses.data() + 2 * group, [] {});
  }
  stream.synchronize();
  for (std::size_t k = 0; k < 2 * groups; ++k) {
    const auto alone = gradient_of(classification, *engine, stream, static_cast<int>(k % 2), k / 2);
    EXPECT_EQ(std::pair(gradients[k].values(), losses.data()[k]), alone) << "job " << k;
  }
}

TEST(CudaPerceptron, IsComputedOneByOneWhereMinibatchesAreLargeOrDiffer) {
  const auto at_once = [](const data::BatchSizes& sizes, const std::string& architecture) {
    const auto dataset = testing::share_bright_rows(100);
    return make({.workers = 2, .batch_size = sizes, .partition = {}}, dataset, architecture)
        .gradients_at_once(Backend::cuda);
  };
  EXPECT_EQ(at_once(8, "mlp"), 16U);
  EXPECT_EQ(at_once(9, "mlp"), 1U);
  EXPECT_EQ(at_once(data::BatchSizes({4, 2}), "mlp"), 1U);
  EXPECT_EQ(at_once(4, "cnn"), 1U);
}

TEST_F(CudaPerceptronGroup, TakesTheMemoryThatIsReckoned) {
  const Architecture architecture = built_in("mlp");
  const Stream stream(gpu, "test");
  const std::size_t before = memory_allocated(gpu);
  const PerceptronGroup group(stream, architecture, 4);
  EXPECT_EQ(memory_allocated(gpu) - before, PerceptronGroup::bytes(architecture, 4));
}

TEST_F(CudaPerceptronGroup, RefusesWhatIsNoPerceptron) {
  const Stream stream(gpu, "test");
  EXPECT_THROW(PerceptronGroup(stream, built_in("cnn"), 4), std::logic_error);
}

}  // namespace
}  // namespace tardigrad::models
