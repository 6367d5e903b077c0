#include "models/networks/built_in_networks.h"

#include <fmt/format.h>

#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "models/networks/network_file.h"
#include "runtime/base/nearest_name.h"
#include "runtime/base/parse_number.h"
#include "runtime/base/toml_file.h"

namespace tardigrad::models {
namespace {

/// Of mlp and cnn: convolutions, each with ReLU and pooling, then linear layers with ReLU, before the last.
struct Widths {
  std::vector<int> channels;
  std::vector<int> hidden;
};

bool is_cnn(const std::string& name) {
  return name == "cnn" || (name.starts_with("cnn:") && !is_network_file(name));
}

/// Throws std::invalid_argument for widths that are none.
Widths parse_widths(const std::string& text) {
  constexpr int most_width = 65536;
  constexpr std::size_t most_pools = 12;  // no image is larger
  const std::vector<std::string_view> parts = split(text, ':');
  const bool has_channels = is_cnn(text);
  Widths widths{has_channels ? std::vector{32, 64, 128} : std::vector<int>(), {has_channels ? 256 : 128}};
  bool good = parts.size() <= (has_channels ? 3U : 2U);
  const auto read = [&](std::size_t part, std::vector<int>& target) {
    if (part >= parts.size() || !good) return;
    auto list = parse_whole_numbers(parts[part], 1, most_width);
    good = list.has_value();
    if (good) target = std::move(*list);
  };
  if (has_channels) read(1, widths.channels);
  read(has_channels ? 2 : 1, widths.hidden);
  if (good && widths.channels.size() <= most_pools) return widths;
  throw std::invalid_argument(
      fmt::format("model {}: expected mlp:WIDTH,WIDTH,… or cnn:CHANNELS,…[:WIDTH,…], whole numbers from 1 to "
                  "{}, of channels at most {}",
                  text, most_width, most_pools));
}

std::string network_of(const Widths& widths) {
  std::string text = "layers = [\n";
  for (const int channels : widths.channels) {
    text += fmt::format("  {{conv = {}, kernel = 3, padding = 1}}, \"relu\", {{max_pool = 2}},\n", channels);
  }
  text += "  \"flatten\",\n";
  for (const int outputs : widths.hidden) text += fmt::format("  {{linear = {}}}, \"relu\",\n", outputs);
  return text + "  {linear = \"classes\"},\n]\n";
}

/// A basic block of He et al. The first of a stage has convolutions in its shortcut where the shape changes.
std::string basic_block(int channels, int groups, int stride, bool changes) {
  std::string text = fmt::format(
      "  {{residual = [\n"
      "    {{conv = {0}, kernel = 3, stride = {1}, padding = 1, bias = false}}, {{group_norm = {2}}}, "
      "\"relu\",\n"
      "    {{conv = {0}, kernel = 3, padding = 1, bias = false}}, {{group_norm = {2}}},\n",
      channels, stride, groups);
  if (changes) {
    text += fmt::format(
        "  ], shortcut = [\n"
        "    {{conv = {}, kernel = 1, stride = {}, bias = false}}, {{group_norm = {}}},\n",
        channels, stride, groups);
  }
  return text + "  ]}, \"relu\",\n";
}

/// A residual network for images of about 32×32: stages of so many basic blocks, each of these widths and of
/// half the side of the one before. All norms have as many groups.
std::string residual_network(std::string_view title, const std::vector<int>& widths, int blocks, int groups) {
  std::string text = fmt::format(
      "# {} (He et al. 2016) for small images, with GroupNorm in the place of BatchNorm.\n"
      "layers = [\n"
      "  {{conv = {}, kernel = 3, padding = 1, bias = false}}, {{group_norm = {}}}, \"relu\",\n",
      title, widths.front(), groups);
  for (std::size_t stage = 0; stage < widths.size(); ++stage) {
    for (int block = 0; block < blocks; ++block) {
      const bool changes = stage > 0 && block == 0;
      text += basic_block(widths[stage], groups, changes ? 2 : 1, changes);
    }
  }
  return text + "  \"global_avg_pool\",\n  {linear = \"classes\"},\n]\n";
}

/// Throws std::invalid_argument where the images are smaller than the poolings need.
void require_room_for_pools(const std::string& name, const ImageShape& shape) {
  const int least_side = 1 << parse_widths(name).channels.size();
  if (shape.height >= least_side && shape.width >= least_side) return;
  throw std::invalid_argument(fmt::format("model {}: images of {}x{}x{}; expected {}x{} pixels or more", name,
                                          shape.channels, shape.height, shape.width, least_side, least_side));
}

}  // namespace

std::vector<std::string> architecture_names() { return {"logistic", "mlp", "cnn", "resnet8", "resnet18"}; }

std::string built_in_network(const std::string& name) {
  if (name == "logistic") return "# Logistic regression.\n" + network_of({});
  if (name == "mlp" || name.starts_with("mlp:")) {
    return "# A multilayer perceptron.\n" + network_of(parse_widths(name));
  }
  if (is_cnn(name)) return "# A small convolutional network.\n" + network_of(parse_widths(name));
  if (name == "resnet8") return residual_network("ResNet-8", {16, 32, 64}, 1, 8);
  if (name == "resnet18") return residual_network("ResNet-18", {64, 128, 256, 512}, 2, 32);
  throw std::invalid_argument(unknown_name_message("model", name, architecture_names()) +
                              ", or a file whose name ends in .toml");
}

bool is_network_file(const std::string& name) { return name.ends_with(".toml"); }

std::string network_text(const std::string& name) {
  return is_network_file(name) ? read_text("--model", name) : built_in_network(name);
}

Architecture make_architecture(const std::string& name, const ImageShape& shape, int classes) {
  const std::string text = network_text(name);
  if (classes < 2) {
    throw std::invalid_argument(fmt::format("model {}: {} classes; expected 2 or more", name, classes));
  }
  if (shape.channels < 1 || shape.height < 1 || shape.width < 1) {
    throw std::invalid_argument(fmt::format("model {}: images of {}x{}x{}; expected 1 or more of each", name,
                                            shape.channels, shape.height, shape.width));
  }
  if (is_cnn(name)) require_room_for_pools(name, shape);
  return parse_network(name, name, text, shape, classes);
}

}  // namespace tardigrad::models
