#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/bias_relu_max_pool_backward.h"
#include "kernels/channel_bias.h"
#include "models/cuda/blueprint/blueprint.h"
#include "models/networks/built_in_networks.h"
#include "tests/models/test_networks.h"

namespace tardigrad::models::cuda {
namespace {

using models::testing::feature_layers;
using models::testing::image_layers;
using models::testing::make_network;
using models::testing::odd_sizes;

/// Every piece of a network's memory that a blueprint names, and where it ends.
std::vector<std::pair<std::size_t, std::size_t>> pieces(const Blueprint& plan) {
  std::vector<std::pair<std::size_t, std::size_t>> pieces{{plan.labels, 4}, {plan.losses, 4}};
  const auto take = [&](std::size_t begin, std::size_t bytes) { pieces.emplace_back(begin, begin + bytes); };
  for (const Activation& activation : plan.activations) {
    const std::size_t bytes = activation.shape.size() * size_of(plan.element);
    take(activation.value, bytes);
    if (activation.wants_gradient) take(activation.gradient, bytes);
  }
  for (const Stage& any : plan.stages) {
    const auto* stage = std::get_if<KernelStage>(&any);
    if (!stage) continue;
    if (const auto* norm = std::get_if<NormStage>(stage)) {
      take(norm->statistics, 8 * norm->shape.all_groups());
      take(norm->partial_sums, 4 * NormBackward<float>::sums(norm->shape).size());
    }
    if (const auto* pool = std::get_if<MaxPoolStage>(stage)) {
      take(pool->winners, 4 * pool->shape.output_size());
    }
    if (const auto* bias = std::get_if<BiasStage>(stage)) {
      take(bias->partial_sums, 4 * ChannelBiasBackward<float>::sums(plan[bias->output].shape).size());
    }
    if (const auto* pool = std::get_if<BiasReluMaxPoolStage>(stage)) {
      take(pool->winners, pool->shape.output_size());
      take(pool->partial_sums, 4 * BiasReluMaxPoolBackward<float>::sums(pool->shape).size());
    }
    if (const auto* first = std::get_if<ConvReluPoolStage>(stage)) {
      take(first->winners, first->shape.output_size());
      take(first->partial_sums, 4 * ConvReluPoolBackward<float>::sums(first->shape).size());
    }
  }
  return pieces;
}

/// Pieces are one and the same, or have nothing in common; all begin where vectors may.
void expect_no_overlaps(const Blueprint& plan) {
  std::map<std::size_t, std::size_t> ends;
  for (const auto& [begin, end] : pieces(plan)) {
    EXPECT_EQ(begin % 256, 0U);
    EXPECT_LE(end, plan.bytes);
    ends[begin] = std::max(ends[begin], end);
  }
  std::size_t last = 0;
  for (const auto& [begin, end] : ends) {
    EXPECT_GE(begin, last);
    last = end;
  }
}

TEST(CudaBlueprint, LaysOutMemoryWithoutOverlaps) {
  for (const std::string& network : {odd_sizes, image_layers, feature_layers}) {
    const Architecture architecture = make_network(network, {3, 37, 35});
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      for (const ActivationFormat format : activation_formats(architecture, precision)) {
        for (const auto when : {ParameterGradients::in_turn, ParameterGradients::beside}) {
          for (const auto first : {FirstLayers::apart, FirstLayers::fused}) {
            const WayToCompute way{precision, format, when, first};
            if (is_way_of(architecture, way)) expect_no_overlaps(make_blueprint(architecture, 3, way));
          }
        }
      }
    }
  }
}

/// Gradients of weights are computed from values while gradients go down.
TEST(CudaBlueprint, LetsNoGradientTakeAValuesPlaceWhereTheseAreReadBeside) {
  for (const std::string& network : {image_layers, feature_layers}) {
    const Architecture architecture = make_network(network, {3, 37, 35});
    const Blueprint plan =
        make_blueprint(architecture, 3, {.parameter_gradients = ParameterGradients::beside});
    std::set<std::size_t> values;
    for (const Activation& activation : plan.activations) values.insert(activation.value);
    for (const Activation& activation : plan.activations) {
      EXPECT_FALSE(activation.wants_gradient && values.contains(activation.gradient));
    }
  }
}

TEST(CudaBlueprint, ComputesParameterGradientsBesideWhereThereIsRoomAndUse) {
  const auto beside = [](const std::string& name, int batch) {
    return blueprint_beside(make_architecture(name, {3, 32, 32}, 10), batch, {}).has_value();
  };
  EXPECT_TRUE(beside("cnn", 32));
  EXPECT_FALSE(beside("cnn", 2000)) << "400 MiB";
  EXPECT_FALSE(beside("cnn", 500'000)) << "more than can be counted";
  EXPECT_FALSE(beside("logistic", 32)) << "no gradient goes down";
}

TEST(CudaBlueprint, FusesFirstLayersThatOneKernelComputes) {
  const auto fuses = [](const std::string& layers, const ImageShape& images = {3, 12, 12}) {
    const Architecture architecture =
        make_network("layers = [" + layers + R"(, "flatten", {linear = "classes"}])", images);
    const WayToCompute fused{.first_layers = FirstLayers::fused};
    if (may_fuse_first_layers(architecture)) {
      EXPECT_TRUE(make_blueprint(architecture, 2, fused).all<ConvolutionStage>().empty());
      return true;
    }
    EXPECT_THROW(make_blueprint(architecture, 2, fused), std::logic_error);
    return false;
  };
  const std::string behind = R"(, "relu", {max_pool = 2})";
  const std::string conv = "{conv = 8, kernel = 3, padding = 1}";
  EXPECT_TRUE(fuses(conv + behind));
  EXPECT_TRUE(fuses("{conv = 8, kernel = 5}" + behind));
  EXPECT_FALSE(fuses("{conv = 8, kernel = 1}" + behind));
  EXPECT_FALSE(fuses("{conv = 8, kernel = 7, padding = 3}" + behind));
  EXPECT_FALSE(fuses("{conv = 8, kernel = 3, padding = 1, stride = 2}" + behind));
  EXPECT_FALSE(fuses("{conv = 9, kernel = 3, padding = 1, groups = 3}" + behind));
  EXPECT_FALSE(fuses("{conv = 8, kernel = 3, padding = 1, bias = false}" + behind));
  EXPECT_FALSE(fuses(conv + behind, {8, 12, 12})) << "too many channels";
  EXPECT_FALSE(fuses(conv + behind, {3, 4, 2000})) << "rows too long";
  EXPECT_FALSE(fuses(conv + R"(, "relu", {max_pool = 3})"));
  EXPECT_FALSE(fuses(conv + R"(, "gelu", {max_pool = 2})"));
  EXPECT_FALSE(fuses(conv + R"(, {max_pool = 2}, "relu")"));
  EXPECT_FALSE(fuses(R"("gelu", )" + conv + behind));
}

/// More of them than one launch adds up.
TEST(CudaBlueprint, AddsUpTheGradientsOfAllNormsOnce) {
  const Architecture architecture = make_architecture("resnet18", {3, 32, 32}, 10);
  const Blueprint plan = make_blueprint(architecture, 2, {});
  std::map<std::size_t, std::size_t> added;  // tensors, by offset
  for (const AddedParts& launch : plan.partial_sums) {
    for (std::size_t i = 0; i < launch.count; ++i) {
      const AddedColumns& columns = launch.columns.at(i);
      EXPECT_TRUE(added.emplace(columns.to, columns.order.size()).second) << columns.to;
      const std::size_t last = columns.from + (columns.parts - 1) * columns.stride + columns.order.size();
      EXPECT_LE(last * sizeof(float), plan.bytes);
    }
  }
  std::map<std::size_t, std::size_t> of_norms;
  for (const TensorSpec& tensor : architecture.layout().tensors()) {
    if (tensor.shape.size() == 1 && tensor.shape.front() != 10) of_norms[tensor.offset] = tensor.elements();
  }
  EXPECT_EQ(added, of_norms);
  EXPECT_EQ(added.size(), 40U);
  EXPECT_EQ(plan.partial_sums.size(), 2U);
}

TEST(CudaBlueprint, TriesFusedFirstLayersWhereTimesDecide) {
  const Architecture cnn = make_architecture("cnn", {3, 32, 32}, 10);
  EXPECT_LT(make_blueprint(cnn, 32, {.first_layers = FirstLayers::fused}).bytes,
            make_blueprint(cnn, 32, {}).bytes);
  const auto fused = [](const std::vector<WayToCompute>& ways) {
    return std::ranges::count(ways, FirstLayers::fused, &WayToCompute::first_layers);
  };
  EXPECT_EQ(fused(ways_on_one_stream(cnn, Precision::fp32, false)), 3);
  EXPECT_EQ(fused(ways_on_one_stream(cnn, Precision::fp32, true)), 0) << "nothing is measured";
  const Architecture resnet = make_architecture("resnet8", {3, 32, 32}, 10);
  EXPECT_EQ(fused(ways_on_one_stream(resnet, Precision::fp32, false)), 0);
}

TEST(CudaBlueprint, PadsImagesThatOnlyConvolutionsRead) {
  const auto formats = [](const std::string& layers) {
    return activation_formats(make_network("layers = [" + layers + ", {linear = \"classes\"}]", {3, 8, 8}),
                              Precision::tf32);
  };
  using enum ActivationFormat;
  const std::string conv = "{conv = 3, kernel = 1}";
  const std::string rest = ", \"flatten\"";
  const std::vector padded{channels_last_padded, channels_last, channel_major};
  const std::vector unpadded{channels_last, channel_major};
  EXPECT_EQ(formats(conv + rest), padded);
  EXPECT_EQ(formats("{residual = [" + conv + "], shortcut = [" + conv + "]}" + rest), padded);
  EXPECT_EQ(formats("{conv = 6, kernel = 1, groups = 3}" + rest), unpadded);
  EXPECT_EQ(formats("{max_pool = 2}, " + conv + rest), unpadded);
  EXPECT_EQ(formats("{residual = [" + conv + "]}" + rest), unpadded);
  EXPECT_EQ(formats("{residual = [" + conv + "], shortcut = [\"relu\"]}" + rest), unpadded);
  EXPECT_THROW(
      make_blueprint(
          make_network("layers = [{max_pool = 2}, {conv = 4, kernel = 1}, \"flatten\", {linear = 2}]",
                       {3, 8, 8}, 2),
          1, {.precision = Precision::tf32, .format = channels_last_padded}),
      std::logic_error);
}

TEST(CudaBlueprint, RefusesActivationsThatAGpuCannotCount) {
  const Architecture architecture = make_network(
      "layers = [{conv = 65536, kernel = 1}, \"global_avg_pool\", {linear = 2}]", {1, 64, 64}, 2);
  EXPECT_THAT([&] { make_blueprint(architecture, 16, {}); },
              ::testing::ThrowsMessage<std::invalid_argument>(
                  ::testing::HasSubstr("expected fewer than 2^31 on a GPU")));
}

}  // namespace
}  // namespace tardigrad::models::cuda
