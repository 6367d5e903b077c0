#pragma once

#include <cstddef>

#include "kernels/add_parts.h"
#include "kernels/bf16.h"
#include "kernels/image_batch.h"

namespace tardigrad {

/// Describes what is normalised together: of each image, `groups` groups of neighbouring channels. Weights
/// belong to channels (GroupNorm: Wu, He 2018) or, `by_element`, to the elements of an image in the order
/// [channels, pixels] (LayerNorm: Ba, Kiros, Hinton 2016; with one group).
struct NormShape {
  ImageBatch images;
  std::size_t groups = 1;  ///< A divisor of the channels.
  bool by_element = false;

  TARDIGRAD_HOST_DEVICE std::size_t group_channels() const { return images.channels / groups; }
  TARDIGRAD_HOST_DEVICE std::size_t group_size() const { return group_channels() * images.pixels; }
  /// Returns the number of groups of the whole batch.
  TARDIGRAD_HOST_DEVICE std::size_t all_groups() const { return images.batch * groups; }
  /// Returns the number of weights, and of biases.
  TARDIGRAD_HOST_DEVICE std::size_t weights() const {
    return by_element ? images.image_size() : images.channels;
  }
  /// Returns the weights as one image, in the order in which their elements, or channels, lie in memory.
  ImageBatch weight_order() const {
    return by_element ? ImageBatch{1, images.channels, images.pixels, images.format}
                      : ImageBatch{1, images.channels, 1, MemoryFormat::channel_major};
  }
};

/// Normalises groups, with what usually follows:
///
///     standard[i] = (input[i] − μ) / √(σ² + ε) with the mean and the (biased) variance of i's group
///     output[i]   = weight · standard[i] + bias, and with `relu` max(that, 0)
///
/// Number is float or Bf16; elements are computed in fp32 and rounded once, sums in float64 in the order of
/// lane_sum.h, over the lanes of a block, so a GPU gives the bits of a CPU. NaN stays NaN. The output may be
/// the memory of the input. Any alignment of whole elements works.
///
/// Errors: std::logic_error for a null pointer, groups that do not divide the channels or 2^32 elements or
/// more; launch() also throws std::runtime_error with CUDA's text. Empty input: nothing is done.
template <typename Number>
struct NormForward {
  static constexpr const char* name = "norm";

  NormShape shape;
  float epsilon = 1e-5F;
  bool relu = false;
  const Number* input = nullptr;
  const float* weight = nullptr;  ///< [shape.weights()]
  const float* bias = nullptr;    ///< like `weight`
  Number* output = nullptr;
  float* statistics = nullptr;  ///< [batch, groups, 2]: μ and 1 / √(σ² + ε), for the way back

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

/// Computes the gradient of NormForward. With g, the output's gradient (0 where the ReLU is closed), and
/// means over each group:
///
///     partial_sums[part] = Σ g · standard for each weight, and behind these Σ g for each bias, over a part
///                          of the batch; they add up to the gradients, in shape.weight_order()
///     input_gradient[i]  = (w[i] − mean(w) − standard[i] · mean(w · standard)) / √(σ² + ε), w = weight · g
///
/// Sums are as in NormForward, but for those of weights and biases, which a GPU adds up in fp32, in the same
/// order for the same shape; a CPU in float64. The input gradient may be the memory of either input. Errors
/// are as there, too. Without images there are no parts, and nothing is done.
template <typename Number>
struct NormBackward {
  static constexpr const char* name = "norm_backward";

  NormShape shape;
  bool relu = false;
  const Number* input = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;  ///< It is read only with `relu`.
  const float* statistics = nullptr;
  const Number* output_gradient = nullptr;
  Number* input_gradient = nullptr;  ///< Null where it is not wanted.
  float* partial_sums = nullptr;     ///< [parts, 2 · weights], as sums(shape) counts them

  static PartialSums sums(const NormShape& shape);

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues two kernels, or one where no input gradient is wanted. The current device must be the stream's.
  void launch(CudaStream stream) const;

  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
