#include "models/architecture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>

#include "models/networks/built_in_networks.h"
#include "models/networks/network_builder.h"

namespace tardigrad::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

constexpr ImageShape cifar10{3, 32, 32};
constexpr ImageShape mnist{1, 28, 28};

std::vector<std::string> describe(const ParameterLayout& layout) {
  std::vector<std::string> lines;
  for (const TensorSpec& tensor : layout.tensors()) {
    std::string line = tensor.name;
    for (const std::int64_t extent : tensor.shape) line += " " + std::to_string(extent);
    lines.push_back(line);
  }
  return lines;
}

TEST(Architecture, CnnHasPytorchsTensors) {
  const Architecture cnn = make_architecture("cnn", cifar10, 10);
  EXPECT_EQ(cnn.layout().dimension(), 620'362U);
  EXPECT_EQ(cnn.classes(), 10);
  EXPECT_THAT(describe(cnn.layout()),
              ElementsAre("conv1.weight 32 3 3 3", "conv1.bias 32", "conv2.weight 64 32 3 3", "conv2.bias 64",
                          "conv3.weight 128 64 3 3", "conv3.bias 128", "fc1.weight 256 2048", "fc1.bias 256",
                          "fc2.weight 10 256", "fc2.bias 10"));
}

TEST(Architecture, CnnRoundsPoolingDown) {
  const Architecture cnn = make_architecture("cnn", mnist, 10);
  EXPECT_EQ(cnn.layout().tensors()[6].shape, (std::vector<std::int64_t>{256, 128 * 3 * 3}));
}

TEST(Architecture, MlpHasPytorchsTensors) {
  const Architecture mlp = make_architecture("mlp", mnist, 10);
  EXPECT_THAT(describe(mlp.layout()),
              ElementsAre("fc1.weight 128 784", "fc1.bias 128", "fc2.weight 10 128", "fc2.bias 10"));
  EXPECT_EQ(mlp.layout().dimension(), 101'770U);
}

TEST(Architecture, TakesWidths) {
  const auto dimension = [](const std::string& name, const ImageShape& shape) {
    return make_architecture(name, shape, 10).layout().dimension();
  };
  EXPECT_EQ(dimension("logistic", mnist), 784U * 10 + 10);
  EXPECT_EQ(dimension("mlp:20,30", mnist), 784U * 20 + 20 + 20 * 30 + 30 + 30 * 10 + 10);
  EXPECT_EQ(dimension("mlp:128", mnist), dimension("mlp", mnist));
  EXPECT_EQ(dimension("cnn:32,64,128:256", cifar10), dimension("cnn", cifar10));
  EXPECT_EQ(dimension("cnn:4", {1, 2, 2}), 4U * 9 + 4 + 4 * 256 + 256 + 256 * 10 + 10);
  EXPECT_EQ(dimension("cnn:4:5,6", {1, 2, 2}), 4U * 9 + 4 + 4 * 5 + 5 + 5 * 6 + 6 + 6 * 10 + 10);
}

TEST(Architecture, CountsTheOperationsOfAGradient) {
  EXPECT_EQ(make_architecture("mlp", {1, 28, 28}, 10).gradient_operations(),
            2 * (2 * 784 * 128 + 3 * 128 * 10));
  const auto small = NetworkBuilder("small", {1, 4, 4})
                         .convolution({.channels = 2, .padding = 1})
                         .convolution({.channels = 4, .padding = 1, .groups = 2})
                         .global_avg_pool()
                         .build();
  EXPECT_EQ(small.gradient_operations(), 2 * (2 * 9 * 1 * 2 * 16 + 3 * 9 * 1 * 4 * 16));
}

TEST(Architecture, RefusesWhatCannotBe) {
  const auto says = [](const std::string& text) {
    return Throws<std::invalid_argument>(Property(&std::exception::what, HasSubstr(text)));
  };
  EXPECT_THAT([] { make_architecture("cnm", cifar10, 10); }, says("did you mean cnn?"));
  for (const std::string name :
       {"mlp:", "mlp:0", "mlp:1,", "mlp:1:2", "mlp:x", "cnn:1:2:3", "cnn::2", "mlp:99999"}) {
    EXPECT_THAT([&] { make_architecture(name, cifar10, 10); },
                says("model " + name + ": expected mlp:WIDTH"));
  }
  EXPECT_THAT([] { make_architecture("logistic:3", cifar10, 10); }, says("logistic:3"));
  EXPECT_THAT(
      [] {
        make_architecture("cnn:1,1,1", {1, 7, 8}, 10);
      },
      says("1x7x8; expected 8x8 pixels or more"));
  EXPECT_THAT([] { make_architecture("cnn", cifar10, 1); }, says("1 classes; expected 2 or more"));
  EXPECT_THAT([] { make_architecture("mlp", {1, 0, 28}, 10); }, says("1x0x28"));
  EXPECT_THAT([] { make_architecture("cnn", {1, 28, 7}, 10); }, says("1x28x7; expected 8x8"));
}

std::vector<float> initialised(const Architecture& architecture, std::uint64_t seed) {
  std::vector<float> parameters(architecture.layout().dimension());
  initialise(architecture, parameters, seed);
  return parameters;
}

TEST(Initialise, IsUniformWithinTheBoundOfEachLayer) {
  const Architecture cnn = make_architecture("cnn", cifar10, 10);
  const auto parameters = initialised(cnn, 7);
  const std::vector<int> fan_in{27, 27, 288, 288, 576, 576, 2048, 2048, 256, 256};
  for (std::size_t t = 0; t < fan_in.size(); ++t) {
    const TensorSpec& tensor = cnn.layout().tensors()[t];
    const double bound = 1 / std::sqrt(fan_in[t]);
    double sum = 0;
    double squares = 0;
    double largest = 0;
    for (const double value : std::span(parameters).subspan(tensor.offset, tensor.elements())) {
      sum += value;
      squares += value * value;
      largest = std::max(largest, std::abs(value));
    }
    const auto count = static_cast<double>(tensor.elements());
    // Rounding to float may reach just past the bound. Mean and variance: five standard deviations.
    EXPECT_LE(largest, bound * (1 + 1e-7)) << tensor.name;
    EXPECT_GT(largest, bound * std::pow(1e-6, 1 / count)) << tensor.name << ": smaller with probability 1e-6";
    EXPECT_NEAR(sum / count / bound, 0, 5 * std::sqrt(1.0 / 3 / count)) << tensor.name;
    EXPECT_NEAR(squares / count / (bound * bound), 1.0 / 3, 5 * std::sqrt(4.0 / 45 / count)) << tensor.name;
  }
}

TEST(Initialise, DependsOnTheSeedAlone) {
  const Architecture mlp = make_architecture("mlp", mnist, 10);
  EXPECT_EQ(initialised(mlp, 1), initialised(mlp, 1));
  const auto one = initialised(mlp, 1);
  const auto two = initialised(mlp, 2);
  const auto equal =
      std::inner_product(one.begin(), one.end(), two.begin(), 0, std::plus<>(), std::equal_to<>());
  EXPECT_LT(equal, 100);  // of 101,770: floats of 24 bits meet by chance
}

TEST(Initialise, GivesTheSameBitsOnEveryPlatform) {
  const Architecture mlp = make_architecture("mlp", mnist, 10);
  const auto parameters = initialised(mlp, 1);
  EXPECT_THAT(std::vector(parameters.begin(), parameters.begin() + 3),
              ElementsAre(-0x1.083a3p-5F, 0x1.2672dcp-7F, 0x1.a268cap-7F));
  EXPECT_EQ(parameters[mlp.layout().tensors()[3].offset], -0x1.dd9098p-5F);
}

TEST(Initialise, RefusesAnotherDimension) {
  std::vector<float> parameters(5);
  EXPECT_THROW(initialise(make_architecture("mlp", mnist, 10), parameters, 1), std::invalid_argument);
}

}  // namespace
}  // namespace tardigrad::models
