#include "kernels/channel_sums.cuh"
#include "kernels/lane_sum.cuh"
#include "kernels/launch.cuh"
#include "kernels/norm_math.h"

namespace tardigrad {
namespace {

static_assert(norm_lanes == threads_per_block);

/// The same sum for every thread of the block, each of which calls it.
__device__ double block_sum_for_all(double sum) {
  __shared__ double total;
  sum = block_sum(sum);
  if (threadIdx.x == 0) total = sum;
  __syncthreads();
  const double result = total;
  __syncthreads();  // before another call writes what others may still be reading
  return result;
}

/// A block takes a group at a time. The output may be the memory of the input: no __restrict__.
template <typename Number>
__global__ void __launch_bounds__(threads_per_block) norm_kernel(NormForward<Number> norm) {
  const std::size_t size = norm.shape.group_size();
  for (std::size_t group = blockIdx.x; group < norm.shape.all_groups(); group += gridDim.x) {
    const GroupPlaces places(norm.shape, group);
    const auto value = [&](std::size_t i) { return static_cast<double>(widen(norm.input[places(i)])); };
    double sum = 0;
    for (std::size_t i = threadIdx.x; i < size; i += norm_lanes) sum += value(i);
    const double mean = block_sum_for_all(sum) / static_cast<double>(size);
    double squares = 0;
    for (std::size_t i = threadIdx.x; i < size; i += norm_lanes) {
      squares = add_square(squares, value(i) - mean);
    }
    squares = block_sum_for_all(squares);
    const Standardisation standard = standardisation_of(mean, squares, size, norm.epsilon);
    for (std::size_t i = threadIdx.x; i < size; i += norm_lanes) {
      norm.output[places(i)] = normalise(norm, standard, places(i));
    }
    if (threadIdx.x == 0) {
      norm.statistics[2 * group] = standard.mean;
      norm.statistics[2 * group + 1] = standard.reciprocal_deviation;
    }
  }
}

/// A block takes a group at a time.
template <typename Number>
__global__ void __launch_bounds__(threads_per_block) norm_backward_kernel(NormBackward<Number> norm) {
  const std::size_t size = norm.shape.group_size();
  for (std::size_t group = blockIdx.x; group < norm.shape.all_groups(); group += gridDim.x) {
    const GroupPlaces places(norm.shape, group);
    const Standardisation standard = statistics_of(norm.statistics, group);
    double weighted = 0;
    double product = 0;
    for (std::size_t i = threadIdx.x; i < size; i += norm_lanes) {
      const NormTerm term = term_of(norm, standard, places(i));
      weighted += weighted_of(term);
      product += product_of(term);
    }
    weighted = block_sum_for_all(weighted);
    product = block_sum_for_all(product);
    const GradientMeans means = gradient_means(weighted, product, size);
    for (std::size_t i = threadIdx.x; i < size; i += norm_lanes) {
      const NormTerm term = term_of(norm, standard, places(i));
      norm.input_gradient[places(i)] = means.template input_gradient<Number>(term, standard);
    }
  }
}

template <typename Number>
struct WeightTerms {
  NormBackward<Number> norm;

  /// The channel is one of weight_channels().
  __device__ Pack<float, 2> operator()(std::size_t place, std::size_t image, std::size_t channel) const {
    const NormShape& shape = norm.shape;
    const std::size_t group =
        shape.by_element ? image : image * shape.groups + channel / shape.group_channels();
    const std::size_t weight = shape.by_element ? weight_of(shape, channel) : channel;
    const NormTerm term = term_of(norm, statistics_of(norm.statistics, group), place, weight);
    return {term.gradient * term.standard, term.gradient};
  }
};

}  // namespace

template <typename Number>
void NormForward<Number>::launch(CudaStream stream) const {
  if (shape.images.size() == 0) return;
  check(*this);
  launch_kernel(name, norm_kernel<Number>, {shape.all_groups()}, stream, *this);
}

template <typename Number>
void NormBackward<Number>::launch(CudaStream stream) const {
  if (shape.images.size() == 0) return;
  check(*this);
  // First, since the input's gradient may take the place of what these sums are of.
  launch_channel_parts<2>(name, weight_channels(shape), WeightTerms<Number>{*this}, partial_sums, stream);
  if (!input_gradient) return;
  launch_kernel(name, norm_backward_kernel<Number>, {shape.all_groups()}, stream, *this);
}

template void NormForward<float>::launch(CudaStream) const;
template void NormForward<Bf16>::launch(CudaStream) const;
template void NormBackward<float>::launch(CudaStream) const;
template void NormBackward<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
