#include "models/layers/group_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/aligned_vector.h"

namespace tardigrad::models::channels_last {
namespace {

using Channels = AlignedVector<float>;

/// The normalisation of one example is output = scale · input + shift for each channel. All loops run over
/// the channels of a pixel, which lie side by side, and sum for each channel by itself first.
class GroupNormLayer final : public Layer {
 public:
  GroupNormLayer(const GroupNorm& norm, int batch, bool relu)
      : norm_(norm),
        batch_(batch),
        relu_(relu),
        means_(static_cast<std::size_t>(batch) * norm.channels),
        reciprocals_(means_.size()),
        scale_(norm.channels),
        shift_(norm.channels),
        sums_(norm.channels),
        products_(norm.channels) {}

  std::size_t output_size() const override { return norm_.output_size() * batch_; }

  void forward(const float* parameters, const float* input, float* output) override {
    for (int n = 0; n < batch_; ++n, input += norm_.output_size(), output += norm_.output_size()) {
      measure(n, input);
      choose_scale_and_shift(n, parameters);
      if (relu_) {
        apply(input, output, [](float value) { return value <= 0 ? 0.0F : value; });
      } else {
        apply(input, output, [](float value) { return value; });
      }
    }
  }

  void backward(const float* parameters, const float* input, const float* output_gradient,
                float* input_gradient, float* gradient) override {
    std::fill_n(gradient + norm_.weight_offset, norm_.channels, 0.0F);
    std::fill_n(gradient + norm_.bias_offset, norm_.channels, 0.0F);
    for (int n = 0; n < batch_; ++n) {
      const std::size_t first = n * norm_.output_size();
      choose_scale_and_shift(n, parameters);
      float* dx = input_gradient ? input_gradient + first : nullptr;
      if (relu_) {
        // The output itself is not at hand, but whether it was above 0 can be computed again.
        differentiate(n, parameters, input + first, output_gradient + first, dx, gradient,
                      [scale = scale_.data(), shift = shift_.data()](int c, float x, float dy) {
                        return x * scale[c] + shift[c] <= 0 ? 0.0F : dy;
                      });
      } else {
        differentiate(n, parameters, input + first, output_gradient + first, dx, gradient,
                      [](int, float, float dy) { return dy; });
      }
    }
  }

 private:
  float* means(int n) { return means_.data() + static_cast<std::ptrdiff_t>(n) * norm_.channels; }
  float* reciprocals(int n) { return reciprocals_.data() + static_cast<std::ptrdiff_t>(n) * norm_.channels; }

  /// The sum over a group, of a number for each of its channels, for each of these channels.
  void sum_over_groups(float* of_channels) const {
    for (int first = 0; first < norm_.channels; first += norm_.group_channels()) {
      float sum = 0;
      for (int c = first; c < first + norm_.group_channels(); ++c) sum += of_channels[c];
      std::fill_n(of_channels + first, norm_.group_channels(), sum);
    }
  }

  /// Mean and reciprocal deviation of each channel's group, in two passes, so that nothing cancels.
  void measure(int n, const float* input) {
    float* mean = means(n);
    float* squares = reciprocals(n);
    const float share = 1 / static_cast<float>(norm_.group_channels() * norm_.pixels);
    std::fill_n(mean, norm_.channels, 0.0F);
    for_each_pixel([&](std::size_t first) {
      for (int c = 0; c < norm_.channels; ++c) mean[c] += input[first + c];
    });
    sum_over_groups(mean);
    for (int c = 0; c < norm_.channels; ++c) mean[c] *= share;
    std::fill_n(squares, norm_.channels, 0.0F);
    for_each_pixel([&](std::size_t first) {
      for (int c = 0; c < norm_.channels; ++c) {
        const float difference = input[first + c] - mean[c];
        squares[c] += difference * difference;
      }
    });
    sum_over_groups(squares);
    const auto epsilon = static_cast<float>(norm_.epsilon);
    for (int c = 0; c < norm_.channels; ++c) squares[c] = 1 / std::sqrt(squares[c] * share + epsilon);
  }

  void choose_scale_and_shift(int n, const float* parameters) {
    const float* weight = parameters + norm_.weight_offset;
    const float* bias = parameters + norm_.bias_offset;
    for (int c = 0; c < norm_.channels; ++c) {
      scale_[c] = weight[c] * reciprocals(n)[c];
      shift_[c] = bias[c] - means(n)[c] * scale_[c];
    }
  }

  template <typename Visit>
  void for_each_pixel(const Visit& visit) const {
    for (std::size_t first = 0; first < norm_.output_size(); first += norm_.channels) visit(first);
  }

  template <typename Activation>
  void apply(const float* input, float* output, const Activation& activation) const {
    const float* scale = scale_.data();
    const float* shift = shift_.data();
    for_each_pixel([&](std::size_t first) {
      for (int c = 0; c < norm_.channels; ++c) {
        output[first + c] = activation(input[first + c] * scale[c] + shift[c]);
      }
    });
  }

  /// `behind` gives the gradient in front of the activation: (channel, input, gradient behind it).
  template <typename Behind>
  void differentiate(int n, const float* parameters, const float* input, const float* output_gradient,
                     float* input_gradient, float* gradient, const Behind& behind) {
    float* sums = sums_.data();
    float* products = products_.data();  // with the standardised input
    const float* mean = means(n);
    std::ranges::fill(sums_, 0.0F);
    std::ranges::fill(products_, 0.0F);
    for_each_pixel([&](std::size_t first) {
      for (int c = 0; c < norm_.channels; ++c) {
        const float dy = behind(c, input[first + c], output_gradient[first + c]);
        sums[c] += dy;
        products[c] += dy * (input[first + c] - mean[c]);
      }
    });
    const float* weight = parameters + norm_.weight_offset;
    for (int c = 0; c < norm_.channels; ++c) {
      products[c] *= reciprocals(n)[c];
      gradient[norm_.weight_offset + c] += products[c];
      gradient[norm_.bias_offset + c] += sums[c];
      sums[c] *= weight[c];
      products[c] *= weight[c];
    }
    if (!input_gradient) return;
    sum_over_groups(sums);
    sum_over_groups(products);
    // dx = scale · dy - r · (sums + x̂ · products) / size, as one sum for each channel.
    const float share = 1 / static_cast<float>(norm_.group_channels() * norm_.pixels);
    for (int c = 0; c < norm_.channels; ++c) {
      const float reciprocal = reciprocals(n)[c];
      products[c] *= -reciprocal * reciprocal * share;                  // times x
      sums[c] = -reciprocal * share * sums[c] - mean[c] * products[c];  // alone
    }
    const float* scale = scale_.data();
    for_each_pixel([&](std::size_t first) {
      for (int c = 0; c < norm_.channels; ++c) {
        const float x = input[first + c];
        const float dy = behind(c, x, output_gradient[first + c]);
        input_gradient[first + c] = scale[c] * dy + x * products[c] + sums[c];
      }
    });
  }

  GroupNorm norm_;
  int batch_;
  bool relu_;
  // Of the last forward pass, for each example and channel.
  Channels means_, reciprocals_;
  // Scratch, for each channel.
  Channels scale_, shift_, sums_, products_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const GroupNorm& norm, int batch, bool relu) {
  return std::make_unique<GroupNormLayer>(norm, batch, relu);
}

}  // namespace tardigrad::models::channels_last
