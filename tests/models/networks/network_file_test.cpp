#include "models/networks/network_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>
#include <utility>

#include "models/networks/built_in_networks.h"
#include "tests/support/source_path.h"

namespace tardigrad::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr ImageShape small_images{3, 32, 32};

Architecture parse(const std::string& text, const ImageShape& shape = small_images) {
  return parse_network("mine", "mine.toml", text, shape, 10);
}

/// What a text is refused with, or nothing.
std::string refusal_of_network(const std::string& text, const ImageShape& shape = small_images) {
  try {
    parse(text, shape);
    return "";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

std::vector<std::string> tensors(const Architecture& architecture) {
  std::vector<std::string> names;
  for (const TensorSpec& tensor : architecture.layout().tensors()) names.push_back(tensor.name);
  return names;
}

TEST(NetworkFile, NamesLayersByKindAndNumberOrAsTheyAreCalled) {
  const Architecture network = parse(R"(
layers = [
  {conv = 8, kernel = 3, stride = 2, padding = 1, bias = false}, {group_norm = 2}, "relu",
  {conv = 8, kernel = 1, name = "mix"},
  {residual = [{conv = 8, kernel = 1}], shortcut = [{conv = 8, kernel = 1, bias = false}]},
  {global_avg_pool = true},
  "layer_norm", {linear = 5}, {linear = "classes"},
])");
  EXPECT_EQ(network.name(), "mine");
  EXPECT_EQ(network.classes(), 10);
  EXPECT_THAT(
      tensors(network),
      ElementsAre("conv1.weight", "norm1.weight", "norm1.bias", "mix.weight", "mix.bias",
                  "block1.branch.conv1.weight", "block1.branch.conv1.bias", "block1.shortcut.conv1.weight",
                  "norm2.weight", "norm2.bias", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"));
  EXPECT_EQ(network.layout().tensors()[0].shape, (std::vector<std::int64_t>{8, 3, 3, 3}));
  EXPECT_EQ(network.summaries()[0].output, (ImageShape{8, 16, 16}));
}

TEST(NetworkFile, RepeatsBlocks) {
  EXPECT_THAT(tensors(parse(R"(
blocks.wide = [{block = "layer", repeat = 2}, "relu"]
blocks.layer = [{linear = 4}]
layers = ["flatten", {block = "wide"}, {block = "wide"}, {linear = "classes"}]
)")),
              ElementsAre("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias",
                          "fc4.weight", "fc4.bias", "fc5.weight", "fc5.bias"));
}

TEST(NetworkFile, SaysWhichLayerDoesNotFitAndWhere) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"layers = [\n  \"flatten\",\n  {conv = 8, kernel = 3},\n]",
       "--model mine.toml:3: conv: 3072 features come in, expected images"},
      {"layers = [\n  {linear = 5},\n]",
       "mine.toml:2: linear: images of 3x32x32 come in, expected features: flatten or global_avg_pool goes "
       "in front"},
      {"layers = [{max_pool = 33}]",
       "mine.toml:1: max_pool: kernel 33 does not fit images of 3x32x32 that come in, expected 33 pixels"},
      {"layers = [{conv = 8, kernel = 8}]", "conv: kernel 8, expected 1 to 7"},
      {"layers = [{conv = 0, kernel = 1}]", "conv: channels 0, expected 1 to 65536"},
      {"layers = [{conv = 8, kernel = 3, groups = 2}]",
       "conv: groups 2, expected a divisor of the 3 channels in and the 8 out"},
      {"layers = [{conv = 8, kernel = 3, padding = 3}]", "padding 3, expected 0 to 2"},
      {"layers = [{max_pool = 2, padding = 2}]", "max_pool: padding 2, expected 0 to 1"},
      {"layers = [{group_norm = 2}]",
       "group_norm: groups 2, expected a divisor of the 3 channels that come in"},
      {"layers = [{dropout = 1}]", "dropout: probability 1, expected 0 or more and less than 1"},
      {"layers = [\"flatten\", {linear = 65536}, {linear = 65536}]",
       "fc2.weight has 4294967296 elements, expected at most 1073741824"},
      {"layers = [\"flatten\",\n {residual = [{linear = 5}]}]",
       "mine.toml:2: residual: its branch gives 5 features, its shortcut 3072 features, expected the same"},
      {"layers = [{residual = []}]", "residual: a branch that computes nothing"},
      {"layers = [\"flatten\", {linear = 9}]",
       "mine.toml:1: the last layer gives 9 features, expected 10, one a class of the data"},
      {"layers = [\"relu\"]", "the last layer gives images, expected 10"},
      {"layers = []", "the last layer gives images, expected 10"},
      {"layers = [{conv = 8, kernel = 1, name = \"a\"}, {conv = 8, kernel = 1, name = \"a\"}]",
       "two layers are called a, expected a name of its own"},
      {"layers = [{conv = 8, kernel = 1, name = \"a.b\"}]", "name \"a.b\", expected up to 64 letters"}};
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(refusal_of_network(text), HasSubstr(expected)) << text;
  }
}

TEST(NetworkFile, SaysWhatCannotBeReadAndWhere) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"layers = [\n \"rleu\"]", "mine.toml:2: layer rleu: unknown; did you mean relu?"},
      {"layers = [{conv = 8,\n kernel = 3}]", "mine.toml:1: expected TOML"},
      {"layers = [{conv = 8, kernle = 3}]", "mine.toml:1: key kernle: unknown; did you mean kernel?"},
      {"layer = []", "mine.toml:1: key layer: unknown; did you mean layers?"},
      {"", "mine.toml: no layers, expected layers = […]"},
      {"layers = [\"conv\"]", "conv: expected {conv = the number of channels it gives}"},
      {"layers = [{conv = 8}]", "mine.toml:1: no kernel, expected kernel = a whole number"},
      {"layers = [{conv = -8, kernel = 1}]", "conv: expected conv = a whole number"},
      {"layers = [{conv = 8, kernel = 1, bias = 1}]", "bias: expected true or false"},
      {"layers = [{linear = \"class\"}]", "linear = \"class\": expected a whole number or \"classes\""},
      {"layers = [{relu = 1}]", "relu: expected relu = true, or the word alone"},
      {"layers = [{relu = true, gelu = true}]", "in one layer, expected one of them"},
      {"layers = [{}]", "no kind of layer, expected one of conv"},
      {"layers = [3]", "expected a layer, such as"},
      {"layers = 3", "layers: expected a list of layers"},
      {"layers = [{dropout = \"much\"}]", "dropout: expected a number"},
      {"layers = [{residual = 3}]", "residual: expected a list of layers"},
      {"layers = [{batch_norm = 3}]",
       "mine.toml:1: batch_norm: its statistics have no meaning where every worker has another model; "
       "expected "
       "group_norm or layer_norm"},
      {"layers = [\"batch_norm\"]", "expected group_norm or layer_norm"},
      {"blocks.a = [{block = \"b\"}]\nblocks.b = [{block = \"a\"}]\nlayers = [{block = \"a\"}]",
       "mine.toml:2: block a uses itself, by way of block b"},
      {"blocks.basic = [\"relu\"]\nlayers = [{block = \"basics\"}]",
       "block basics: unknown; did you mean basic?"},
      {"layers = [{block = \"a\"}]", "block a: there is no blocks.a"},
      {"blocks = 3\nlayers = []", "blocks: expected a table of lists of layers"},
      {"blocks.a = [\"relu\"]\nlayers = [{block = \"a\", repeat = 10000}, \"relu\"]",
       "more than 10000 layers"},
      {"blocks.a = [\"relu\"]\nlayers = [{block = \"a\", repeat = 0}]", "repeat 0, expected 1 to 10000"},
      {"blocks.a = []\nlayers = [{block = \"a\"}]", "mine.toml:1: blocks.a: no layers"},
      {"layers = [\"re\\nlu\"]", R"(mine.toml:1: layer "re\nlu": unknown; did you mean relu?)"},
      {"layers = [{\"re\\nlu\" = 3}]", R"(layer "re\nlu": unknown)"},
      {"layers = [{relu = true, \"a\\nb\" = 3}]", R"(key "a\nb": unknown)"},
      {"layers = [{linear = \"clas\\nses\"}]", R"(linear = "clas\nses": expected)"},
      {"layers = [{block = \"a\\nb\"}]", R"(block "a\nb": expected up to 64 letters)"},
      {"layers = [{relu = true, name = \"\"}]", R"(relu: name "", expected up to 64 letters)"},
      {"layers = [\n {residual = [\"relu\"], name = 3}]", "mine.toml:2: name: expected a word in quotes"},
      {"layers = [{kernel = 3}]", "mine.toml:1: no kind of layer, expected one of conv"},
      {"layers = [{name = \"a\"}]", "mine.toml:1: no kind of layer, expected one of conv"},
      {"layers = [{linear = 99999999999}]", "a whole number from 0 to 2147483647, found 99999999999"},
      {"layers = [{" + std::string(5000, 'a') + " = 3}]", "…: unknown"},
      {"layers = [\"flatten\", \"relu\"]", "the last layer gives 3072 features, expected 10"}};
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(refusal_of_network(text), HasSubstr(expected)) << text;
  }
}

/// The networks that a document shows, each in an indented block.
std::vector<std::string> networks_in(const std::string& document) {
  std::vector<std::string> networks;
  std::ifstream file(tardigrad::testing::source_path(document));
  std::string block;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("    ")) {
      block += line + "\n";
    } else {
      const std::string ended = std::exchange(block, "");
      if (ended.find("layers = [") != std::string::npos) networks.push_back(ended);
    }
  }
  return networks;
}

TEST(NetworkFile, IsAsItsManualShowsIt) {
  const auto networks = networks_in("models/networks/README.md");
  EXPECT_EQ(networks.size(), 3U);
  for (const std::string& text : networks) EXPECT_THAT(refusal_of_network(text), IsEmpty()) << text;
}

TEST(NetworkFile, RefusesImagesThatAnIntCannotCount) {
  const std::string text = "layers = [\"flatten\", {linear = \"classes\"}]";
  EXPECT_THAT(refusal_of_network(text, {1, 65536, 65536}),
              HasSubstr("images of 1x65536x65536, expected at most 1073741824"));
  EXPECT_THAT(refusal_of_network("layers = [{avg_pool = 5000, padding = 2500}]"),
              HasSubstr("kernel 5000, expected 1 to 4096"));
}

TEST(NetworkFile, RefusesANetworkWithoutParameters) {
  EXPECT_THAT(refusal_of_network("layers = [\"flatten\", \"relu\"]", {1, 2, 5}),
              HasSubstr("no layer has parameters"));
}

TEST(NetworkFile, HasADigestOfItsLayersAlone) {
  const std::string text = "layers = [\"flatten\", {dropout = 0.5}, {linear = \"classes\"}]";
  const std::string digest = parse(text).digest();
  EXPECT_EQ(digest.size(), 16U);
  EXPECT_EQ(
      parse("# mine\nlayers = [\n  \"flatten\",\n  {dropout = 0.50}, {linear = \"classes\"},\n]\n").digest(),
      digest);
  EXPECT_NE(parse("layers = [\"flatten\", {dropout = 0.25}, {linear = \"classes\"}]").digest(), digest);
}

TEST(BuiltInNetworks, AreFiles) {
  for (const std::string& name : architecture_names()) {
    EXPECT_THAT(refusal_of_network(built_in_network(name)), IsEmpty()) << name;
    const Architecture made = make_architecture(name, small_images, 10);
    EXPECT_EQ(tensors(made), tensors(parse(built_in_network(name)))) << name;
    EXPECT_EQ(made.name(), name);
  }
}

TEST(BuiltInNetworks, HaveAsManyParametersAsTheirPapersSay) {
  EXPECT_EQ(make_architecture("resnet18", small_images, 10).layout().dimension(), 11'173'962U);
  EXPECT_EQ(make_architecture("resnet8", small_images, 10).layout().dimension(), 78'042U);
}

TEST(BuiltInNetworks, BeginNormsAsTheIdentity) {
  const Architecture network = make_architecture("resnet8", small_images, 10);
  std::vector<float> parameters(network.layout().dimension());
  initialise(network, parameters, 3);
  for (const TensorSpec& tensor : network.layout().tensors()) {
    if (tensor.name.find("norm") == std::string::npos) continue;
    const auto values = std::span(parameters).subspan(tensor.offset, tensor.elements());
    EXPECT_THAT(values, ::testing::Each(tensor.name.ends_with("weight") ? 1.0F : 0.0F)) << tensor.name;
  }
}

}  // namespace
}  // namespace tardigrad::models
