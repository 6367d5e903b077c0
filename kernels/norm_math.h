#pragma once

#include <cmath>

#include "kernels/elementwise_math.h"
#include "kernels/multiply_add.h"
#include "kernels/norm.h"
#include "kernels/require.h"

namespace tardigrad {

/// Counts the lanes that share a group's sums: the threads of a block.
inline constexpr unsigned norm_lanes = 256;

/// Holds μ and 1 / √(σ² + ε) of a group.
struct Standardisation {
  float mean, reciprocal_deviation;

  TARDIGRAD_HOST_DEVICE float operator()(float value) const { return (value - mean) * reciprocal_deviation; }
};

/// Returns it from the sum of the squared deviations of `count` numbers.
TARDIGRAD_HOST_DEVICE inline Standardisation standardisation_of(double mean, double squares,
                                                                std::size_t count, float epsilon) {
  const double variance = squares / static_cast<double>(count) + static_cast<double>(epsilon);
  return {static_cast<float>(mean), static_cast<float>(1 / sqrt(variance))};
}

/// Places the elements of one group of the batch, which are numbered as they lie in memory.
struct GroupPlaces {
  bool contiguous;
  std::uint32_t channels, all_channels;
  std::size_t begin;

  TARDIGRAD_HOST_DEVICE GroupPlaces(const NormShape& shape, std::size_t group)
      : contiguous(shape.images.format == MemoryFormat::channel_major || shape.groups == 1),
        channels(static_cast<std::uint32_t>(shape.group_channels())),
        all_channels(static_cast<std::uint32_t>(shape.images.channels)) {
    const std::size_t image = group / shape.groups;
    const std::size_t first_channel = group % shape.groups * channels;
    const bool major = shape.images.format == MemoryFormat::channel_major;
    begin = image * shape.images.image_size() + first_channel * (major ? shape.images.pixels : 1);
  }

  TARDIGRAD_HOST_DEVICE std::size_t operator()(std::size_t i) const {
    if (contiguous) return begin + i;
    const auto element = static_cast<std::uint32_t>(i);
    return begin + std::size_t{element / channels} * all_channels + element % channels;
  }
};

/// Returns which weight belongs to the element that lies at a place.
TARDIGRAD_HOST_DEVICE inline std::size_t weight_of(const NormShape& shape, std::size_t place) {
  if (!shape.by_element) return shape.images.channel_of(place);
  return shape.images.number_of(place) % static_cast<std::uint32_t>(shape.images.image_size());
}

/// Returns an element of the output.
template <typename Number>
TARDIGRAD_HOST_DEVICE Number normalise(const NormForward<Number>& norm, const Standardisation& standard,
                                       std::size_t place) {
  const std::size_t weight = weight_of(norm.shape, place);
  const float value =
      multiply_add(norm.weight[weight], standard(widen(norm.input[place])), norm.bias[weight]);
  return nearest<Number>(norm.relu ? ReluOf()(value) : value);
}

/// Holds an element's standardised input, and the output's gradient as the ReLU lets it pass.
struct NormTerm {
  float standard, gradient, weight;

  TARDIGRAD_HOST_DEVICE float weighted() const { return weight * gradient; }
};

template <typename Number>
TARDIGRAD_HOST_DEVICE NormTerm term_of(const NormBackward<Number>& norm, const Standardisation& standard,
                                       std::size_t place, std::size_t weight) {
  NormTerm term{standard(widen(norm.input[place])), widen(norm.output_gradient[place]), norm.weight[weight]};
  if (norm.relu) {
    const float output = multiply_add(term.weight, term.standard, norm.bias[weight]);
    term.gradient = ReluGradientOf()(output, term.gradient);
  }
  return term;
}

template <typename Number>
TARDIGRAD_HOST_DEVICE NormTerm term_of(const NormBackward<Number>& norm, const Standardisation& standard,
                                       std::size_t place) {
  return term_of(norm, standard, place, weight_of(norm.shape, place));
}

/// Returns the group of the element that lies at a place.
TARDIGRAD_HOST_DEVICE inline std::size_t group_of(const NormShape& shape, std::size_t place) {
  const std::size_t image =
      static_cast<std::uint32_t>(place) / static_cast<std::uint32_t>(shape.images.image_size());
  const std::size_t group = shape.images.channel_of(place) / shape.group_channels();
  return image * shape.groups + group;
}

TARDIGRAD_HOST_DEVICE inline Standardisation statistics_of(const float* statistics, std::size_t group) {
  return {statistics[2 * group], statistics[2 * group + 1]};
}

/// Returns sum + value². It is rounded once where multiply_add() is.
TARDIGRAD_HOST_DEVICE inline double add_square(double sum, double value) {
#if defined(__CUDA_ARCH__) || defined(FP_FAST_FMA)
  return fma(value, value, sum);
#else
  return sum + value * value;
#endif
}

/// Holds the means over a group that the way back takes.
struct GradientMeans {
  float weighted, product;

  template <typename Number>
  TARDIGRAD_HOST_DEVICE Number input_gradient(const NormTerm& term, const Standardisation& standard) const {
    const float rest =
        multiply_add(-term.standard, product, multiply_add(term.weight, term.gradient, -weighted));
    return nearest<Number>(standard.reciprocal_deviation * rest);
  }
};

/// Returns what a term adds to the sums of these means.
TARDIGRAD_HOST_DEVICE inline double weighted_of(const NormTerm& term) {
  return static_cast<double>(term.weighted());
}
TARDIGRAD_HOST_DEVICE inline double product_of(const NormTerm& term) {
  return static_cast<double>(term.weighted()) * static_cast<double>(term.standard);
}

TARDIGRAD_HOST_DEVICE inline GradientMeans gradient_means(double weighted, double product,
                                                          std::size_t count) {
  return {static_cast<float>(weighted / static_cast<double>(count)),
          static_cast<float>(product / static_cast<double>(count))};
}

/// Returns the batch as images whose channels have a weight each, as they lie in memory.
inline ImageBatch weight_channels(const NormShape& shape) {
  if (!shape.by_element) return shape.images;
  return {shape.images.batch, shape.images.image_size(), 1, MemoryFormat::channels_last};
}

template <typename Operation>
void check_shape(const NormShape& shape) {
  require<Operation>(shape.groups >= 1 && shape.images.channels % shape.groups == 0,
                     "groups, expected a divisor of the channels");
  require<Operation>(!shape.by_element || shape.groups == 1, "groups of weights by element, expected 1");
  require<Operation>(shape.images.is_countable(), "too many elements, expected fewer than 2^32");
}

template <typename Number>
void check(const NormForward<Number>& norm) {
  using Operation = NormForward<Number>;
  require<Operation>(norm.input && norm.weight && norm.bias && norm.output && norm.statistics,
                     "a pointer is null");
  check_shape<Operation>(norm.shape);
}

template <typename Number>
void check(const NormBackward<Number>& norm) {
  using Operation = NormBackward<Number>;
  require<Operation>(norm.input && norm.weight && (norm.bias || !norm.relu) && norm.statistics &&
                         norm.output_gradient && norm.partial_sums,
                     "a pointer is null");
  check_shape<Operation>(norm.shape);
}

}  // namespace tardigrad
