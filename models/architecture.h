#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "models/layers/residual.h"
#include "runtime/objective/parameters.h"

namespace tardigrad::models {

using data::ImageShape;

/// Says how a tensor of parameters begins: uniform in middle ± bound, each element by itself.
struct InitialValues {
  double middle = 0;
  double bound = 0;
};

/// Describes a layer to people.
struct LayerSummary {
  std::string name;            ///< With those of the blocks that it is in, e.g. "block1.branch.conv2".
  std::string kind;            ///< As in network files, e.g. "conv".
  ImageShape output;           ///< {features, 1, 1} where is_flat.
  bool is_flat = false;        ///< Whether the output has features, not images.
  std::size_t parameters = 0;  ///< Elements of all its tensors.
  double operations = 0;       ///< Of the gradient of one image: see Architecture::gradient_operations.
};

/// Describes what a classifier computes: layers one after another from images [batch, channels, height,
/// width] to logits [batch, classes]. Parameters are named and laid out as in the PyTorch module of the same
/// layers, so that a state dict goes over unchanged: convolutions OIHW, linear layers [out, in] over NCHW.
/// networks/network_builder.h makes one.
class Architecture {
 public:
  const std::string& name() const { return name_; }
  const ImageShape& input() const { return input_; }
  /// Returns the number of outputs of the last layer.
  int classes() const { return classes_; }
  const std::vector<LayerSpec>& layers() const { return layers_; }
  const ParameterLayout& layout() const { return layout_; }
  /// Returns how each tensor of the layout begins.
  const std::vector<InitialValues>& initial_values() const { return initial_values_; }
  /// Returns all layers in the order of the file, those of blocks behind each other.
  const std::vector<LayerSummary>& summaries() const { return summaries_; }

  /// Returns a text that is the same for networks of the same layers, whatever their file looks like and is
  /// called: 16 hexadecimal digits.
  const std::string& digest() const { return digest_; }

  /// Returns how many numbers an image becomes on its way: its own, and those that each layer gives.
  std::size_t activations() const;

  /// Returns how many floating-point operations the gradient of one image takes in convolutions and linear
  /// layers: a multiplication and an addition, two, for each weight and place where it is used, in the
  /// forward pass, for the weights' gradient, and, except in layers that read the images, for that of the
  /// inputs.
  double gradient_operations() const;

 private:
  friend class NetworkBuilder;
  Architecture() = default;

  std::string name_;
  std::string digest_;
  ImageShape input_;
  int classes_ = 0;
  std::vector<LayerSpec> layers_;
  ParameterLayout layout_;
  std::vector<InitialValues> initial_values_;
  std::vector<LayerSummary> summaries_;
};

/// Initialises parameters as PyTorch does by default: weights and biases of convolutions and linear layers
/// uniform in ±1/√fan_in, where fan_in is the number of inputs of one output; those of norms 1 and 0. The
/// same seed gives the same bits on every platform. Throws std::invalid_argument unless `parameters` has
/// layout().dimension() elements.
void initialise(const Architecture& architecture, std::span<float> parameters, std::uint64_t seed);

}  // namespace tardigrad::models
