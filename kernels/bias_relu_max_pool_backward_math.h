#pragma once

#include "kernels/bias_relu_max_pool_backward.h"
#include "kernels/bias_relu_max_pool_math.h"
#include "kernels/channel_parts.h"

namespace tardigrad {

/// Returns the parts of windows over which a GPU adds up the bias gradient.
inline ChannelParts parts_of(const PoolShape& shape) {
  return channel_parts(
      {shape.batch, shape.channels, shape.output_height() * shape.output_width(), shape.input_format});
}

/// Throws std::logic_error as bias_relu_max_pool_backward.h says.
template <typename Number>
void check(const BiasReluMaxPoolBackward<Number>& pool);

}  // namespace tardigrad
