#include <algorithm>
#include <vector>

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
std::size_t ChannelBiasBackward<Number>::partial_sums_size(const ImageBatch& shape) {
  return channel_parts(shape.batch, shape.pixels, shape.format).count * shape.channels;
}

template <typename Number>
void ChannelBiasBackward<Number>::run() const {
  if (shape.channels == 0) return;
  check(*this);
  std::vector<double> sums(shape.channels);
  for (std::size_t place = 0; place < shape.size(); ++place) {
    sums[shape.channel_of(place)] += static_cast<double>(gate_element(*this, place));
  }
  std::transform(sums.begin(), sums.end(), bias_gradient, [](double sum) { return static_cast<float>(sum); });
}

template <typename Number>
double ChannelBiasBackward<Number>::bytes() const {
  const std::size_t images = activation ? 3 : 1;
  return static_cast<double>(images * shape.size() * sizeof(Number) + shape.channels * sizeof(float));
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
