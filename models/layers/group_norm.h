#pragma once

#include <cstddef>
#include <memory>

#include "models/layers/layer.h"

namespace tardigrad::models {

/// Normalises each group of neighbouring channels of each example (Wu, He 2018), as PyTorch's GroupNorm does:
///   output[n,c,p] = weight[c] · (input[n,c,p] - μ[n,g]) / √(σ²[n,g] + ε) + bias[c]
/// with the mean and the variance over the pixels p and the channels c of group g, all of one example, so
/// that a minibatch has no influence. weight and bias [channels]. See layer.h for the contract.
struct GroupNorm {
  int channels = 0;
  int pixels = 1;                 ///< height · width
  int groups = 1;                 ///< A divisor of channels.
  std::size_t weight_offset = 0;  ///< In the flat parameters, in elements; likewise bias_offset.
  std::size_t bias_offset = 0;
  double epsilon = 1e-5;

  int group_channels() const { return channels / groups; }
  std::size_t output_size() const { return static_cast<std::size_t>(channels) * pixels; }
};

namespace plain {
template <typename T>
void forward(const GroupNorm& norm, int batch, const T* parameters, const T* input, T* output);
template <typename T>
void backward(const GroupNorm& norm, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient);
}  // namespace plain

namespace channels_last {
/// Makes the layer for activations with channels last, before and behind; with ReLU behind it in the same
/// passes where that is wanted.
std::unique_ptr<Layer> make_layer(const GroupNorm& norm, int batch, bool relu);
}  // namespace channels_last

}  // namespace tardigrad::models
