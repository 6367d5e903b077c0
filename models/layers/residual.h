#pragma once

#include <cstddef>
#include <vector>

#include "models/layers/layer_spec.h"
#include "models/layers/sequence.h"

namespace tardigrad::models {

/// Adds what two branches make of the same input (He et al. 2016): output = branch(input) + shortcut(input).
/// A shortcut without layers is the input itself. Both give the same shape. See layer.h for the contract.
struct Residual {
  std::vector<LayerSpec> branch;
  std::vector<LayerSpec> shortcut;
  std::size_t input_size = 0;  ///< In elements per example.
  std::size_t size = 0;        ///< Of the output.

  std::size_t output_size() const { return size; }
};

/// Makes the layer of layers that have been made, whose outputs have the same memory format. The input has
/// `input_size` floats, with all examples and padding.
std::unique_ptr<Layer> make_residual(Layers branch, Layers shortcut, std::size_t input_size);

}  // namespace tardigrad::models
