#include "models/cuda/blueprint/blueprint.h"

#include <algorithm>
#include <stdexcept>

namespace tardigrad::models::cuda {
namespace {

/// Whether it begins, and each branch where it begins with those, with convolutions of one group.
bool only_convolutions_read(const std::vector<LayerSpec>& layers) {
  if (layers.empty()) return false;
  if (const auto* convolution = std::get_if<models::Convolution>(&layers.front())) {
    return convolution->groups == 1;
  }
  const auto* block = std::get_if<Residual>(&layers.front());
  return block && only_convolutions_read(block->branch) && only_convolutions_read(block->shortcut);
}

bool have_convolutions(const std::vector<LayerSpec>& layers) {
  return std::ranges::any_of(layers, [](const LayerSpec& layer) {
    const auto* block = std::get_if<Residual>(&layer);
    return std::holds_alternative<models::Convolution>(layer) ||
           (block && (have_convolutions(block->branch) || have_convolutions(block->shortcut)));
  });
}

}  // namespace

const char* name_of(ActivationFormat format) {
  switch (format) {
    case ActivationFormat::channel_major:
      return "channel-major";
    case ActivationFormat::channels_last:
      return "channels-last";
    case ActivationFormat::channels_last_padded:
      return "channels-last, padded";
  }
  return "";
}

const char* name_of(ParameterGradients when) {
  return when == ParameterGradients::beside ? "beside" : "in turn";
}

const char* name_of(FirstLayers how) { return how == FirstLayers::fused ? "fused" : "apart"; }

bool has_convolutions(const Architecture& architecture) { return have_convolutions(architecture.layers()); }

bool may_pad_images(const Architecture& architecture) {
  return only_convolutions_read(architecture.layers());
}

bool is_way_of(const Architecture& architecture, const WayToCompute& way) {
  const bool pads = way.format == ActivationFormat::channels_last_padded;
  const bool fuses = way.first_layers == FirstLayers::fused;
  return (!pads || may_pad_images(architecture)) && (!fuses || may_fuse_first_layers(architecture));
}

std::vector<ActivationFormat> activation_formats(const Architecture& architecture, Precision precision) {
  if (!has_convolutions(architecture)) return {ActivationFormat::channel_major};
  const std::size_t channels_of_a_group = library_alignment / size_of(element_of(precision));
  const bool padded = static_cast<std::size_t>(architecture.input().channels) % channels_of_a_group != 0 &&
                      may_pad_images(architecture);
  std::vector<ActivationFormat> choices;
  if (padded) choices.push_back(ActivationFormat::channels_last_padded);
  choices.push_back(ActivationFormat::channels_last);
  // Tensor cores read channels last; without them, that only costs the repacking.
  choices.insert(precision == Precision::fp32 ? choices.begin() : choices.end(),
                 ActivationFormat::channel_major);
  return choices;
}

std::vector<WayToCompute> ways_to_compute(const Architecture& architecture, Precision precision,
                                          bool deterministic) {
  std::vector<WayToCompute> ways;
  for (const Precision one : {Precision::bf16, Precision::tf32, Precision::fp32}) {
    const bool more_exact = one < precision;
    if (one != precision && (!more_exact || deterministic)) continue;
    for (const ActivationFormat format : activation_formats(architecture, one)) {
      ways.push_back({.precision = one, .format = format});
    }
  }
  return ways;
}

std::vector<WayToCompute> ways_on_one_stream(const Architecture& architecture, Precision precision,
                                             bool deterministic) {
  std::vector<WayToCompute> ways = ways_to_compute(architecture, precision, deterministic);
  if (deterministic || !may_fuse_first_layers(architecture)) return ways;
  const std::size_t apart = ways.size();
  for (std::size_t i = 0; i < apart; ++i) {
    ways.push_back(ways[i]);
    ways.back().first_layers = FirstLayers::fused;
  }
  return ways;
}

std::optional<Blueprint> blueprint_beside(const Architecture& architecture, int batch, WayToCompute way) {
  constexpr std::size_t most_bytes = std::size_t{256} << 20;
  way.parameter_gradients = ParameterGradients::beside;
  try {
    Blueprint blueprint = make_blueprint(architecture, batch, way);
    const auto goes_on = [](const auto& stage) { return stage.wants_input_gradient; };
    const bool any = std::ranges::any_of(blueprint.all<ConvolutionStage>(), goes_on) ||
                     std::ranges::any_of(blueprint.all<LinearStage>(), goes_on);
    if (any && blueprint.bytes <= most_bytes) return blueprint;
  } catch (const std::invalid_argument&) {  // it has too many elements for any way
  }
  return std::nullopt;
}

std::size_t largest_bytes(const Architecture& architecture, int batch, Precision precision,
                          bool deterministic) {
  std::size_t bytes = 0;
  for (const WayToCompute& way : ways_on_one_stream(architecture, precision, deterministic)) {
    bytes = std::max(bytes, make_blueprint(architecture, batch, way).bytes);
    if (deterministic) continue;
    if (const auto beside = blueprint_beside(architecture, batch, way)) {
      bytes = std::max(bytes, beside->bytes);
    }
  }
  return bytes;
}

}  // namespace tardigrad::models::cuda
