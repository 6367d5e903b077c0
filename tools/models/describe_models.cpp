#include "tools/models/describe_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "models/networks/built_in_networks.h"
#include "runtime/base/parse_number.h"
#include "runtime/base/say.h"

namespace tardigrad {
namespace {

constexpr double mebibyte = 1 << 20;

data::ImageShape parse_images(const std::string& text) {
  constexpr int most = 1 << 16;
  std::string commas = text;
  std::ranges::replace(commas, 'x', ',');
  const auto numbers = parse_whole_numbers(commas, 1, most);
  if (numbers && numbers->size() == 3) return {(*numbers)[0], (*numbers)[1], (*numbers)[2]};
  throw std::invalid_argument(
      fmt::format("--images {}: expected CHANNELSxHEIGHTxWIDTH, such as 3x32x32", text));
}

std::string shape_of(const models::LayerSummary& layer) {
  const auto& [channels, height, width] = layer.output;
  return layer.is_flat ? fmt::format("{}", channels) : fmt::format("{}x{}x{}", channels, height, width);
}

/// Each line behind a #.
std::string as_comment(const std::string& text) {
  std::string comment;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) comment += line.empty() ? "#\n" : "# " + line + "\n";
  return comment;
}

void list_models(const data::ImageShape& images, int classes) {
  say(stdout, "{:<10} {:>12} {:>14}\n", "network", "parameters", "MFLOP / image");
  for (const std::string& name : models::architecture_names()) {
    try {
      const auto architecture = models::make_architecture(name, images, classes);
      say(stdout, "{:<10} {:>12} {:>14.1f}\n", name, architecture.layout().dimension(),
          architecture.gradient_operations() / 1e6);
    } catch (const std::invalid_argument& does_not_fit) {
      say(stdout, "{:<10} {}\n", name, does_not_fit.what());
    }
  }
  say(stdout, "\ntardigrad models NAME shows one; mlp:256,128 and cnn:16,32:64 have other widths.\n");
}

/// Of the layers, and what they take together.
std::string network_table(const models::Architecture& architecture, int batch_size) {
  std::size_t widest = 5;
  for (const auto& layer : architecture.summaries()) widest = std::max(widest, layer.name.size());
  std::string text = fmt::format("{:<{}} {:<15} {:>12} {:>12} {:>14}\n", "layer", widest, "kind", "output",
                                 "parameters", "MFLOP / image");
  for (const auto& layer : architecture.summaries()) {
    text += fmt::format("{:<{}} {:<15} {:>12} {:>12} {:>14.3f}\n", layer.name, widest, layer.kind,
                        shape_of(layer), layer.parameters, layer.operations / 1e6);
  }
  const auto dimension = static_cast<double>(architecture.layout().dimension());
  text +=
      fmt::format("\n{:.0f} parameters, {:.1f} MiB; {:.1f} MFLOP for the gradient of one image\n", dimension,
                  dimension * sizeof(float) / mebibyte, architecture.gradient_operations() / 1e6);
  const auto activations = static_cast<double>(architecture.activations());
  text += fmt::format("activations of a minibatch of {}: {:.1f} MiB\n", batch_size,
                      activations * sizeof(float) * batch_size / mebibyte);
  return text;
}

}  // namespace

void describe_models(const DescribedModel& described) {
  const data::ImageShape images = parse_images(described.images);
  if (described.batch_size < 1) {
    throw std::invalid_argument(fmt::format("--batch-size {}: expected 1 or more", described.batch_size));
  }
  if (described.name.empty()) return list_models(images, described.classes);
  const std::string text = models::network_text(described.name);
  const auto architecture = models::make_architecture(described.name, images, described.classes);
  say(stdout, "{}\n{}", text,
      as_comment(fmt::format("On images of {}, {} classes:\n\n{}", described.images, described.classes,
                             network_table(architecture, described.batch_size))));
}

}  // namespace tardigrad
