#pragma once

#include <cstddef>
#include <optional>

#include "kernels/dropout_mask.h"

namespace tardigrad::models {

/// Is one layer of a network at a fixed batch size. Every version of every layer keeps this contract, the
/// plain templates of the layer headers included (they take the description and the batch size as arguments):
///
/// forward: input activation → output activation. backward: gradient with respect to the output → those with
/// respect to the layer's parameters and input.
///
/// `parameters` and `gradient` are the model's flat vectors; a layer reads and overwrites (never adds to)
/// only its own tensors in them. Activations are [batch, elements per example]; images lie channel-major
/// (NCHW) unless the version says otherwise. `input_gradient` is null where it is not wanted (first layer),
/// and may be the memory of `input`: a network needs one buffer per activation. `output` may not overlap
/// `input`, nor `output_gradient` any of the two. Where a memory format has padding it holds 0 and stays so.
/// All memory is the caller's and at least batch × elements long. A layer runs on the calling thread; the
/// result depends on nothing but the arguments and the masks. NaN and infinity are data like any other.
///
/// An object holds scratch (reordered weights) and what the way back wants of the last forward pass, which
/// backward follows, with the same parameters and input: any thread may call it, one at a time.
class Layer {
 public:
  Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;
  virtual ~Layer() = default;

  /// Returns the floats of the output activation, padding of the version's memory format included.
  virtual std::size_t output_size() const = 0;

  /// Says what the following passes draw masks for (dropout.h): nothing, as at the beginning, is evaluation.
  virtual void use_masks(const std::optional<MaskKey>& /*key*/) {}

  virtual void forward(const float* parameters, const float* input, float* output) = 0;
  virtual void backward(const float* parameters, const float* input, const float* output_gradient,
                        float* input_gradient, float* gradient) = 0;
};

}  // namespace tardigrad::models
