#include "models/architecture.h"

#include <fmt/core.h>

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "kernels/random.h"
#include "runtime/base/nearest_name.h"
#include "runtime/base/parse_number.h"

namespace tardigrad::models {
namespace {

/// Inputs of one output of the layer that a tensor belongs to; a bias has none of its own to tell.
double fan_in(const TensorSpec& weight) {
  return static_cast<double>(weight.elements()) / static_cast<double>(weight.shape.front());
}

/// Of a named architecture: convolutions, each with ReLU and pooling, then linear layers with ReLU, before
/// the last.
struct Widths {
  std::vector<int> channels;
  std::vector<int> hidden;
};

/// Throws std::invalid_argument for an unknown name, and for widths that are none.
Widths parse_widths(const std::string& text) {
  constexpr int most_width = 65536;
  constexpr std::size_t most_pools = 12;  // no image is larger
  const std::vector<std::string_view> parts = split(text, ':');
  const std::string name(parts.front());
  const bool is_cnn = name == "cnn";
  Widths widths{is_cnn ? std::vector{32, 64, 128} : std::vector<int>(), {is_cnn ? 256 : 128}};
  if (text == "logistic") return {};
  if (!is_cnn && name != "mlp") {
    throw std::invalid_argument(unknown_name_message("model", text, architecture_names()));
  }
  bool good = parts.size() <= (is_cnn ? 3U : 2U);
  const auto read = [&](std::size_t part, std::vector<int>& target) {
    if (part >= parts.size() || !good) return;
    auto list = parse_whole_numbers(parts[part], 1, most_width);
    good = list.has_value();
    if (good) target = std::move(*list);
  };
  if (is_cnn) read(1, widths.channels);
  read(is_cnn ? 2 : 1, widths.hidden);
  if (good && widths.channels.size() <= most_pools) return widths;
  throw std::invalid_argument(
      fmt::format("model {}: expected mlp:WIDTH,WIDTH,… or cnn:CHANNELS,…[:WIDTH,…], whole numbers from 1 to "
                  "{}, of channels at most {}",
                  text, most_width, most_pools));
}

}  // namespace

Architecture::Architecture(std::string name, const ImageShape& input)
    : name_(std::move(name)), input_(input), output_(input) {}

Architecture& Architecture::conv3x3(int out_channels) {
  if (flat_) throw std::logic_error("a convolution cannot follow a linear layer");
  const std::string tensor = fmt::format("conv{}", ++convolutions_);
  Conv3x3 conv{output_.channels, out_channels, output_.height, output_.width};
  conv.weight_offset = layout_.add(tensor + ".weight", {out_channels, conv.in_channels, 3, 3});
  conv.bias_offset = layout_.add(tensor + ".bias", {out_channels});
  layers_.emplace_back(conv);
  output_.channels = out_channels;
  return *this;
}

Architecture& Architecture::max_pool2x2() {
  if (flat_) throw std::logic_error("a max-pool cannot follow a linear layer");
  layers_.emplace_back(MaxPool2x2{output_.channels, output_.height, output_.width});
  output_.height /= 2;
  output_.width /= 2;
  return *this;
}

Architecture& Architecture::relu() {
  layers_.emplace_back(Relu{output_.size()});
  return *this;
}

Architecture& Architecture::linear(int outputs) {
  const std::string tensor = fmt::format("fc{}", ++linears_);
  Linear linear{static_cast<int>(output_.size()), outputs};
  linear.weight_offset = layout_.add(tensor + ".weight", {outputs, linear.inputs});
  linear.bias_offset = layout_.add(tensor + ".bias", {outputs});
  layers_.emplace_back(linear);
  output_ = {outputs, 1, 1};
  flat_ = true;
  return *this;
}

double Architecture::gradient_operations() const {
  double operations = 0;
  bool first = true;
  const auto add = [&](double products) {
    operations += 2 * (first ? 2 : 3) * products;
    first = false;
  };
  for (const LayerSpec& layer : layers_) {
    if (const auto* conv = std::get_if<Conv3x3>(&layer)) {
      add(9.0 * conv->in_channels * static_cast<double>(conv->output_size()));
    } else if (const auto* linear = std::get_if<Linear>(&layer)) {
      add(static_cast<double>(linear->inputs) * linear->outputs);
    }
  }
  return operations;
}

std::vector<std::string> architecture_names() { return {"logistic", "mlp", "cnn"}; }

Architecture make_architecture(const std::string& name, const ImageShape& shape, int classes) {
  const std::string shape_text = fmt::format("{}x{}x{}", shape.channels, shape.height, shape.width);
  const Widths widths = parse_widths(name);
  if (classes < 2) {
    throw std::invalid_argument(fmt::format("model {}: {} classes; expected 2 or more", name, classes));
  }
  if (shape.channels < 1 || shape.height < 1 || shape.width < 1) {
    throw std::invalid_argument(
        fmt::format("model {}: images of {}; expected 1 or more of each", name, shape_text));
  }
  const int least_side = 1 << widths.channels.size();
  if (shape.height < least_side || shape.width < least_side) {
    throw std::invalid_argument(fmt::format("model {}: images of {}; expected {}x{} pixels or more", name,
                                            shape_text, least_side, least_side));
  }
  Architecture architecture(name, shape);
  for (const int channels : widths.channels) architecture.conv3x3(channels).relu().max_pool2x2();
  for (const int outputs : widths.hidden) architecture.linear(outputs).relu();
  return architecture.linear(classes);
}

void initialise(const Architecture& architecture, std::span<float> parameters, std::uint64_t seed) {
  const auto& tensors = architecture.layout().tensors();
  if (parameters.size() != architecture.layout().dimension()) {
    throw std::invalid_argument(fmt::format("initialise: {} parameters given; {} has {}", parameters.size(),
                                            architecture.name(), architecture.layout().dimension()));
  }
  // Tensors come in pairs of weight and bias, and a bias shares the bound of its weight.
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const double bound = 1 / std::sqrt(fan_in(tensors[t - t % 2]));
    Random random(seed, Purpose::initialise, 0, t);
    for (float& value : parameters.subspan(tensors[t].offset, tensors[t].elements())) {
      value = static_cast<float>(bound * (2 * random.uniform() - 1));
    }
  }
}

}  // namespace tardigrad::models
