#include "models/networks/network_builder.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "runtime/base/json_text.h"

namespace tardigrad::models {
namespace {

constexpr int largest_kernel = 7;
constexpr int largest_window = 4096;
constexpr int most_channels = 65536;
constexpr double most_elements =
    1 << 30;  // of a tensor, and of an activation of one image: an int counts them

double elements_of(const ImageShape& shape) {
  return static_cast<double>(shape.channels) * shape.height * shape.width;
}

template <typename... Values>
[[noreturn]] void refuse(std::string_view kind, fmt::format_string<Values...> format, Values&&... values) {
  throw std::invalid_argument(
      fmt::format("{}: {}", kind, fmt::format(format, std::forward<Values>(values)...)));
}

void require_between(std::string_view kind, std::string_view what, int value, int least, int most) {
  if (value < least || value > most) refuse(kind, "{} {}, expected {} to {}", what, value, least, most);
}

/// What layers of a kind are called, with a number behind.
std::string_view usual_name(std::string_view kind) {
  if (kind == "linear") return "fc";
  if (kind == "residual") return "block";
  if (kind.ends_with("_norm")) return "norm";
  return kind.ends_with("_pool") ? "pool" : kind;
}

}  // namespace

bool is_layer_name(std::string_view text) {
  constexpr std::size_t longest = 64;
  const auto starts = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && text.size() <= longest && starts(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return starts(c) || (c >= '0' && c <= '9'); });
}

bool NetworkBuilder::Activation::same_shape(const Activation& other) const {
  return is_flat == other.is_flat && shape == other.shape;
}

std::string NetworkBuilder::describe(const Activation& activation) {
  const auto& [channels, height, width] = activation.shape;
  if (activation.is_flat) return fmt::format("{} features", channels);
  return fmt::format("images of {}x{}x{}", channels, height, width);
}

NetworkBuilder::NetworkBuilder(std::string name, const ImageShape& input) {
  if (elements_of(input) > most_elements) {
    throw std::invalid_argument(fmt::format("model {}: {}, expected at most {:.0f} elements", name,
                                            describe({.shape = input}), most_elements));
  }
  architecture_.name_ = std::move(name);
  architecture_.input_ = input;
  scopes_.push_back({.now = {.shape = input, .is_image = true}});
}

NetworkBuilder& NetworkBuilder::convolution(const ConvolutionOptions& options, const std::string& name) {
  constexpr std::string_view kind = "conv";
  require_images(kind);
  require_between(kind, "channels", options.channels, 1, most_channels);
  require_between(kind, "kernel", options.kernel, 1, largest_kernel);
  require_between(kind, "stride", options.stride, 1, largest_kernel);
  require_between(kind, "padding", options.padding, 0, options.kernel - 1);
  const ImageShape& in = now().shape;
  if (options.groups < 1 || in.channels % options.groups != 0 || options.channels % options.groups != 0) {
    refuse(kind, "groups {}, expected a divisor of the {} channels in and the {} out", options.groups,
           in.channels, options.channels);
  }
  if (std::min(in.height, in.width) + 2 * options.padding < options.kernel) {
    refuse(kind, "kernel {} does not fit {} that come in with padding {}, expected {} pixels or more a side",
           options.kernel, describe(now()), options.padding, options.kernel - 2 * options.padding);
  }
  Convolution conv{.in_channels = in.channels,
                   .out_channels = options.channels,
                   .height = in.height,
                   .width = in.width,
                   .bias_offset = {},
                   .kernel = options.kernel,
                   .stride = options.stride,
                   .padding = options.padding,
                   .groups = options.groups};
  const std::string own = take_name(kind, name);
  const double fan_in = static_cast<double>(conv.group_inputs()) * conv.kernel * conv.kernel;
  const InitialValues initial{0, 1 / std::sqrt(fan_in)};
  conv.weight_offset = add_tensor(
      own + ".weight", {conv.out_channels, conv.group_inputs(), conv.kernel, conv.kernel}, initial);
  if (options.bias) conv.bias_offset = add_tensor(own + ".bias", {conv.out_channels}, initial);
  const std::size_t parameters = conv.weight_size() + (options.bias ? conv.out_channels : 0);
  const Activation output{.shape = {conv.out_channels, conv.out_height(), conv.out_width()}};
  append(kind, own, conv, output, parameters, fan_in * static_cast<double>(conv.output_size()));
  return *this;
}

NetworkBuilder& NetworkBuilder::linear(int outputs, const std::string& name) {
  constexpr std::string_view kind = "linear";
  require_between(kind, "outputs", outputs, 1, most_channels);
  if (!now().is_flat) {
    refuse(kind, "{} come in, expected features: flatten or global_avg_pool goes in front", describe(now()));
  }
  Linear linear{now().shape.channels, outputs};
  const std::string own = take_name(kind, name);
  const InitialValues initial{0, 1 / std::sqrt(static_cast<double>(linear.inputs))};
  linear.weight_offset = add_tensor(own + ".weight", {outputs, linear.inputs}, initial);
  linear.bias_offset = add_tensor(own + ".bias", {outputs}, initial);
  const double products = static_cast<double>(linear.inputs) * outputs;
  append(kind, own, linear, {.shape = {outputs, 1, 1}, .is_flat = true},
         static_cast<std::size_t>(products) + outputs, products);
  return *this;
}

NetworkBuilder& NetworkBuilder::relu(const std::string& name) {
  append("relu", take_name("relu", name), Relu{now().shape.size()}, now());
  return *this;
}

NetworkBuilder& NetworkBuilder::gelu(const std::string& name) {
  append("gelu", take_name("gelu", name), Gelu{now().shape.size()}, now());
  return *this;
}

NetworkBuilder& NetworkBuilder::group_norm(int groups, const std::string& name) {
  constexpr std::string_view kind = "group_norm";
  const auto& [channels, height, width] = now().shape;
  if (groups < 1 || channels % groups != 0) {
    refuse(kind, "groups {}, expected a divisor of the {} channels that come in", groups, channels);
  }
  GroupNorm norm{.channels = channels, .pixels = height * width, .groups = groups};
  const std::string own = take_name(kind, name);
  norm.weight_offset = add_tensor(own + ".weight", {channels}, {.middle = 1});
  norm.bias_offset = add_tensor(own + ".bias", {channels}, {.middle = 0});
  append(kind, own, norm, now(), std::size_t{2} * channels);
  return *this;
}

NetworkBuilder& NetworkBuilder::layer_norm(const std::string& name) {
  constexpr std::string_view kind = "layer_norm";
  const auto& [channels, height, width] = now().shape;
  LayerNorm norm{.size = static_cast<int>(now().shape.size())};
  const std::string own = take_name(kind, name);
  std::vector<std::int64_t> shape{channels};
  if (!now().is_flat) shape.insert(shape.end(), {height, width});
  norm.weight_offset = add_tensor(own + ".weight", shape, {.middle = 1});
  norm.bias_offset = add_tensor(own + ".bias", shape, {.middle = 0});
  append(kind, own, norm, now(), std::size_t{2} * norm.size);
  return *this;
}

NetworkBuilder& NetworkBuilder::max_pool(const PoolOptions& options, const std::string& name) {
  return pool<MaxPool>("max_pool", options, name);
}

NetworkBuilder& NetworkBuilder::avg_pool(const PoolOptions& options, const std::string& name) {
  return pool<AvgPool>("avg_pool", options, name);
}

NetworkBuilder& NetworkBuilder::global_avg_pool(const std::string& name) {
  require_images("global_avg_pool");
  const auto& [channels, height, width] = now().shape;
  append("global_avg_pool", take_name("global_avg_pool", name), GlobalAvgPool{channels, height * width},
         {.shape = {channels, 1, 1}, .is_flat = true});
  return *this;
}

NetworkBuilder& NetworkBuilder::dropout(double probability, const std::string& name) {
  if (!(probability >= 0 && probability < 1)) {
    refuse("dropout", "probability {}, expected 0 or more and less than 1", probability);
  }
  append("dropout", take_name("dropout", name),
         Dropout{.size = now().shape.size(), .probability = probability, .number = dropouts_++, .key = {}},
         now());
  return *this;
}

NetworkBuilder& NetworkBuilder::flatten(const std::string& name) {
  const int size = static_cast<int>(now().shape.size());
  const bool is_image = now().is_image;
  append("flatten", take_name("flatten", name), Flatten{now().shape.size()},
         {.shape = {size, 1, 1}, .is_flat = true});
  now().is_image = is_image;
  return *this;
}

NetworkBuilder& NetworkBuilder::begin_residual(const std::string& name) {
  const std::string own = take_name("residual", name);
  blocks_.push_back({.name = own, .input = now(), .branch = {}});
  scopes_.push_back({.prefix = own + ".branch.", .now = now()});
  return *this;
}

NetworkBuilder& NetworkBuilder::begin_shortcut() {
  if (blocks_.empty() || blocks_.back().branch) throw std::logic_error("a shortcut begins behind a branch");
  OpenBlock& block = blocks_.back();
  block.branch = std::move(scope());
  scope() = {.prefix = block.name + ".shortcut.", .now = block.input};
  return *this;
}

NetworkBuilder& NetworkBuilder::end_residual() {
  if (blocks_.empty()) throw std::logic_error("no residual block to end");
  if (!blocks_.back().branch) begin_shortcut();
  const OpenBlock block = std::move(blocks_.back());
  const Scope shortcut = std::move(scope());
  blocks_.pop_back();
  scopes_.pop_back();
  const auto is_flatten = [](const LayerSpec& layer) { return std::holds_alternative<Flatten>(layer); };
  if (std::ranges::all_of(block.branch->layers, is_flatten)) {
    refuse("residual", "a branch that computes nothing, expected one layer or more");
  }
  if (!block.branch->now.same_shape(shortcut.now)) {
    refuse("residual", "its branch gives {}, its shortcut {}, expected the same", describe(block.branch->now),
           describe(shortcut.now));
  }
  architecture_.summaries_.push_back({.name = block.name,
                                      .kind = "residual",
                                      .output = shortcut.now.shape,
                                      .is_flat = shortcut.now.is_flat});
  scope().layers.emplace_back(
      Residual{block.branch->layers, shortcut.layers, block.input.shape.size(), shortcut.now.shape.size()});
  now() = block.branch->now;
  return *this;
}

std::optional<int> NetworkBuilder::features() const {
  if (!now().is_flat) return std::nullopt;
  return now().shape.channels;
}

Architecture NetworkBuilder::build(std::string_view description) {
  if (scopes_.size() != 1) throw std::logic_error("a residual block has not ended");
  if (now().is_image || features().value_or(0) < 2) {
    throw std::invalid_argument(
        fmt::format("the last layer gives {}, expected 2 features or more, one a class",
                    now().is_image ? std::string("the images") : describe(now())));
  }
  if (architecture_.layout_.dimension() == 0) {
    throw std::invalid_argument("no layer has parameters, expected one or more, such as linear");
  }
  architecture_.classes_ = *features();
  architecture_.digest_ = fmt::format("{:016x}", XXH3_64bits(description.data(), description.size()));
  architecture_.layers_ = std::move(scope().layers);
  return std::move(architecture_);
}

void NetworkBuilder::require_images(std::string_view kind) const {
  if (now().is_flat) refuse(kind, "{} come in, expected images", describe(now()));
}

template <typename Pool>
NetworkBuilder& NetworkBuilder::pool(std::string_view kind, const PoolOptions& options,
                                     const std::string& name) {
  const Pool layer{windows(kind, options)};
  append(kind, take_name(kind, name), layer,
         {.shape = {layer.channels, layer.out_height(), layer.out_width()}});
  return *this;
}

PoolWindows NetworkBuilder::windows(std::string_view kind, const PoolOptions& options) const {
  require_images(kind);
  const auto& [channels, height, width] = now().shape;
  const int stride = options.stride.value_or(options.kernel);
  require_between(kind, "kernel", options.kernel, 1, largest_window);
  require_between(kind, "stride", stride, 1, largest_window);
  require_between(kind, "padding", options.padding, 0, options.kernel / 2);
  if (std::min(height, width) + 2 * options.padding < options.kernel) {
    refuse(kind, "kernel {} does not fit {} that come in, expected {} pixels or more a side", options.kernel,
           describe(now()), options.kernel - 2 * options.padding);
  }
  return {.channels = channels,
          .height = height,
          .width = width,
          .kernel = options.kernel,
          .stride = stride,
          .padding = options.padding};
}

/// The name given, or the usual one with the next number. Returns it with those of the blocks around.
std::string NetworkBuilder::take_name(std::string_view kind, const std::string& given) {
  std::string name = given;
  const std::string_view usual = usual_name(kind);
  if (name.empty()) {
    name = fmt::format("{}{}", usual, ++scope().numbers[std::string(usual)]);
  } else if (!is_layer_name(name)) {
    refuse(kind, "name {}, expected {}", in_quotes(name), layer_name_rule);
  }
  if (std::ranges::find(scope().names, name) != scope().names.end()) {
    refuse(kind, "two layers are called {}, expected a name of its own", name);
  }
  scope().names.push_back(name);
  return scope().prefix + name;
}

std::size_t NetworkBuilder::add_tensor(const std::string& name, std::vector<std::int64_t> shape,
                                       InitialValues values) {
  double elements = 1;
  for (const std::int64_t extent : shape) elements *= static_cast<double>(extent);
  if (elements > most_elements) {
    throw std::invalid_argument(
        fmt::format("{} has {:.0f} elements, expected at most {:.0f}", name, elements, most_elements));
  }
  architecture_.initial_values_.push_back(values);
  return architecture_.layout_.add(name, std::move(shape));
}

/// `products` are those of one image's forward pass.
void NetworkBuilder::append(std::string_view kind, const std::string& name, LayerSpec layer,
                            Activation output, std::size_t parameters, double products) {
  if (elements_of(output.shape) > most_elements) {
    refuse(kind, "it gives {}, expected at most {:.0f} elements", describe(output), most_elements);
  }
  const double passes = now().is_image ? 2 : 3;
  architecture_.summaries_.push_back({.name = name,
                                      .kind = std::string(kind),
                                      .output = output.shape,
                                      .is_flat = output.is_flat,
                                      .parameters = parameters,
                                      .operations = 2 * passes * products});
  scope().layers.push_back(std::move(layer));
  output.is_image = false;
  now() = output;
}

}  // namespace tardigrad::models
