#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "data/dataset.h"
#include "models/layers/conv3x3.h"
#include "models/layers/linear.h"
#include "models/layers/max_pool.h"
#include "models/layers/relu.h"
#include "runtime/objective/parameters.h"

namespace tardigrad::models {

using data::ImageShape;

/// Describes a layer of a network. Its header says what it computes.
using LayerSpec = std::variant<Conv3x3, Linear, MaxPool2x2, Relu>;

/// Describes what a classifier computes: layers one after another from images [batch, channels, height,
/// width] to logits [batch, classes]. Parameters are named and laid out as in the PyTorch module of the same
/// layers, so that a state dict goes over unchanged: convolutions OIHW, linear layers [out, in] over NCHW.
class Architecture {
 public:
  /// Makes an architecture without layers yet.
  Architecture(std::string name, const ImageShape& input);

  /// Appends a layer, as the following do, that fits what the layers so far give, and returns *this.
  /// Convolutions are named conv1, conv2, …, linear layers fc1, fc2, …, in order. Throws std::logic_error for
  /// an image layer after a linear one.
  Architecture& conv3x3(int out_channels);
  Architecture& max_pool2x2();
  Architecture& relu();
  Architecture& linear(int outputs);

  const std::string& name() const { return name_; }
  const ImageShape& input() const { return input_; }
  /// Returns the number of outputs of the last layer.
  int classes() const { return static_cast<int>(output_.size()); }
  const std::vector<LayerSpec>& layers() const { return layers_; }
  const ParameterLayout& layout() const { return layout_; }

  /// Returns how many floating-point operations the gradient of one image takes in convolutions and linear
  /// layers: a multiplication and an addition, two, for each weight and place where it is used, in the
  /// forward pass, for the weights' gradient, and, except in the first layer, for that of the inputs.
  double gradient_operations() const;

 private:
  std::string name_;
  ImageShape input_;
  ImageShape output_;  ///< Of the layers so far; {size, 1, 1} after a linear layer.
  bool flat_ = false;
  int convolutions_ = 0;
  int linears_ = 0;
  std::vector<LayerSpec> layers_;
  ParameterLayout layout_;
};

/// Returns the names make_architecture knows.
std::vector<std::string> architecture_names();

/// Makes the architecture called "logistic": linear `classes`; "mlp": linear 128, ReLU, linear `classes`
/// (784-128-10 on 28×28×1); or "cnn": three times 3×3 convolution (32, 64, 128 channels), ReLU, 2×2 max-pool;
/// linear 256, ReLU, linear `classes` (620,362 parameters on 32×32×3 with 10 classes). "mlp:256,128" has
/// hidden layers of those widths, "cnn:16,32:64" so many channels and then those hidden layers. Throws
/// std::invalid_argument, naming the value and what was expected, for an unknown name, widths that are none,
/// fewer than 2 classes, an empty shape, and an image too small to be halved by every pooling.
Architecture make_architecture(const std::string& name, const ImageShape& shape, int classes);

/// Initialises parameters as PyTorch does by default: weights and biases of a layer uniform in ±1/√fan_in,
/// where fan_in is the number of inputs of one of its outputs. The same seed gives the same bits on every
/// platform. Throws std::invalid_argument unless `parameters` has layout().dimension() elements.
void initialise(const Architecture& architecture, std::span<float> parameters, std::uint64_t seed);

}  // namespace tardigrad::models
