#pragma once

#include "kernels/channel_bias.h"
#include "kernels/elementwise_math.h"
#include "kernels/require.h"

namespace tardigrad {

/// Computes the element that lies at a place.
template <typename Number>
TARDIGRAD_HOST_DEVICE void add_channel_bias(const ChannelBias<Number>& operation, std::size_t place) {
  const float bias = operation.bias[operation.shape.channel_of(place)];
  operation.values[place] = nearest<Number>(SumOf{operation.relu}(widen(operation.values[place]), bias));
}

/// Gates the element that lies at a place, and returns it for the sum.
template <typename Number>
TARDIGRAD_HOST_DEVICE float gate_element(const ChannelBiasBackward<Number>& operation, std::size_t place) {
  const float gradient = widen(operation.output_gradient[place]);
  if (operation.activation == nullptr) return gradient;
  const float gated = ReluGradientOf()(widen(operation.activation[place]), gradient);
  operation.gated[place] = nearest<Number>(gated);
  return gated;
}

template <typename Number>
void check(const ChannelBias<Number>& operation) {
  using Operation = ChannelBias<Number>;
  require<Operation>(operation.bias && operation.values, "a pointer is null");
  require<Operation>(operation.shape.is_countable(), "too many elements, expected fewer than 2^32");
}

template <typename Number>
void check(const ChannelBiasBackward<Number>& operation) {
  using Operation = ChannelBiasBackward<Number>;
  require<Operation>(operation.output_gradient && operation.partial_sums, "a pointer is null");
  require<Operation>(!operation.activation || operation.gated, "gated is null");
  require<Operation>(operation.shape.is_countable(), "too many elements, expected fewer than 2^32");
}

}  // namespace tardigrad
