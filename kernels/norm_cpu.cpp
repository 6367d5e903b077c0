#include "kernels/channel_parts.h"
#include "kernels/lane_sum.h"
#include "kernels/norm_math.h"

namespace tardigrad {
namespace {

/// Σ term(i) over the elements of a group.
template <typename Term>
double group_sum(std::size_t size, const Term& term) {
  return lane_sum<norm_lanes>(size, [&](double sum, std::size_t i) { return sum + term(i); });
}

template <typename Number>
Standardisation standardise(const NormForward<Number>& norm, const GroupPlaces& places) {
  const std::size_t size = norm.shape.group_size();
  const auto value = [&](std::size_t i) { return static_cast<double>(widen(norm.input[places(i)])); };
  const double mean = group_sum(size, value) / static_cast<double>(size);
  const double squares =
      lane_sum<norm_lanes>(size, [&](double sum, std::size_t i) { return add_square(sum, value(i) - mean); });
  return standardisation_of(mean, squares, size, norm.epsilon);
}

template <typename Number>
void sum_weight_gradients(const NormBackward<Number>& norm) {
  PartialSumsOnCpu sums(norm.sums(norm.shape));
  const ImageBatch channels = weight_channels(norm.shape);
  const ChannelParts parts = channel_parts(channels);
  for (std::size_t place = 0; place < norm.shape.images.size(); ++place) {
    const std::size_t group = group_of(norm.shape, place);
    const NormTerm term = term_of(norm, statistics_of(norm.statistics, group), place);
    const std::size_t part = parts.part_of(channels, place);
    const std::size_t weight = channels.channel_of(place);
    sums.add(part, weight, static_cast<double>(term.gradient * term.standard));
    sums.add(part, norm.shape.weights() + weight, static_cast<double>(term.gradient));
  }
  sums.write(norm.partial_sums);
}

}  // namespace

template <typename Number>
void NormForward<Number>::run() const {
  if (shape.images.size() == 0) return;
  check(*this);
  for (std::size_t group = 0; group < shape.all_groups(); ++group) {
    const GroupPlaces places(shape, group);
    const Standardisation standard = standardise(*this, places);
    for (std::size_t i = 0; i < shape.group_size(); ++i) {
      output[places(i)] = normalise(*this, standard, places(i));
    }
    statistics[2 * group] = standard.mean;
    statistics[2 * group + 1] = standard.reciprocal_deviation;
  }
}

template <typename Number>
double NormForward<Number>::bytes() const {
  return static_cast<double>(2 * shape.images.size() * sizeof(Number) +
                             2 * (shape.weights() + shape.all_groups()) * sizeof(float));
}

template <typename Number>
double NormForward<Number>::flops() const {
  return 8 * static_cast<double>(shape.images.size());
}

template <typename Number>
PartialSums NormBackward<Number>::sums(const NormShape& shape) {
  return {channel_parts(weight_channels(shape)).count, 2 * shape.weights()};
}

template <typename Number>
void NormBackward<Number>::run() const {
  if (shape.images.size() == 0) return;
  check(*this);
  sum_weight_gradients(*this);
  if (!input_gradient) return;
  const std::size_t size = shape.group_size();
  for (std::size_t group = 0; group < shape.all_groups(); ++group) {
    const GroupPlaces places(shape, group);
    const Standardisation standard = statistics_of(statistics, group);
    const auto term = [&](std::size_t i) { return term_of(*this, standard, places(i)); };
    const double weighted = group_sum(size, [&](std::size_t i) { return weighted_of(term(i)); });
    const double product = group_sum(size, [&](std::size_t i) { return product_of(term(i)); });
    const GradientMeans means = gradient_means(weighted, product, size);
    for (std::size_t i = 0; i < size; ++i) {
      input_gradient[places(i)] = means.template input_gradient<Number>(term(i), standard);
    }
  }
}

template <typename Number>
double NormBackward<Number>::bytes() const {
  const std::size_t images = input_gradient ? 3 : 2;
  return static_cast<double>(images * shape.images.size() * sizeof(Number) +
                             (2 * shape.weights() + 2 * shape.all_groups() + sums(shape).size()) *
                                 sizeof(float));
}

template <typename Number>
double NormBackward<Number>::flops() const {
  return 14 * static_cast<double>(shape.images.size());
}

template struct NormForward<float>;
template struct NormForward<Bf16>;
template struct NormBackward<float>;
template struct NormBackward<Bf16>;

}  // namespace tardigrad
