#include "kernels/channel_bias_math.h"
#include "kernels/channel_parts.h"

namespace tardigrad {

template <typename Number>
void ChannelBias<Number>::run() const {
  if (shape.size() == 0) return;
  check(*this);
  for (std::size_t place = 0; place < shape.size(); ++place) add_channel_bias(*this, place);
}

template <typename Number>
double ChannelBias<Number>::bytes() const {
  return static_cast<double>(2 * shape.size() * sizeof(Number) + shape.channels * sizeof(float));
}

template <typename Number>
double ChannelBias<Number>::flops() const {
  return static_cast<double>(shape.size());
}

template <typename Number>
PartialSums ChannelBiasBackward<Number>::sums(const ImageBatch& shape) {
  return {channel_parts(shape).count, shape.channels};
}

template <typename Number>
void ChannelBiasBackward<Number>::run() const {
  if (shape.size() == 0) return;
  check(*this);
  PartialSumsOnCpu bias_sums(sums(shape));
  const ChannelParts parts = channel_parts(shape);
  for (std::size_t place = 0; place < shape.size(); ++place) {
    bias_sums.add(parts.part_of(shape, place), shape.channel_of(place),
                  static_cast<double>(gate_element(*this, place)));
  }
  bias_sums.write(partial_sums);
}

template <typename Number>
double ChannelBiasBackward<Number>::bytes() const {
  const std::size_t images = activation ? 3 : 1;
  return static_cast<double>(images * shape.size() * sizeof(Number) + sums(shape).size() * sizeof(float));
}

template <typename Number>
double ChannelBiasBackward<Number>::flops() const {
  return static_cast<double>(shape.size());
}

template struct ChannelBias<float>;
template struct ChannelBias<Bf16>;
template struct ChannelBiasBackward<float>;
template struct ChannelBiasBackward<Bf16>;

}  // namespace tardigrad
