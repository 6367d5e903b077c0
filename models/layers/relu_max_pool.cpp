#include <algorithm>
#include <array>
#include <cstddef>

#include "models/layers/lanes.h"
#include "models/layers/pool.h"

namespace tardigrad::models {
namespace {

namespace stdx = std::experimental;
using OneLane = stdx::simd<float, stdx::simd_abi::scalar>;

/// Neighbouring channels of one pixel, `stride` elements apart: 1, or a whole plane where the format is NCHW.
template <typename V>
V load_channels(const float* from, std::ptrdiff_t stride) {
  if (stride == 1) return V(from, stdx::element_aligned);
  return V([&](auto lane) { return from[lane * stride]; });
}

template <typename V>
void store_channels(const V& values, float* to, std::ptrdiff_t stride) {
  if (stride == 1) return values.copy_to(to, stdx::element_aligned);
  for (std::size_t lane = 0; lane < V::size(); ++lane) to[lane * stride] = values[lane];
}

// The helpers below must be inlined: otherwise the registers that they are about go through memory.

/// Replaces `maximum` where PyTorch's max-pool would: by what is larger, or NaN. Returns where.
template <typename V>
[[gnu::always_inline]] inline typename V::mask_type meet(V& maximum, const V& other) {
  const auto replace = other > maximum || isnan(other);
  where(replace, maximum) = other;
  return replace;
}

template <typename V>
[[gnu::always_inline]] inline V keep(const typename V::mask_type& mask, const V& values) {
  V kept = 0;
  where(mask, kept) = values;
  return kept;
}

/// The four pixels of a window, in row order, and its output pixel.
struct Window {
  std::array<std::ptrdiff_t, 4> pixels;  ///< Distances from the first.
  std::ptrdiff_t output_stride;          ///< Between channels of the output.

  template <typename V>
  void forward(const float* input, float* output) const {
    V maximum(input, stdx::element_aligned);
    for (int k = 1; k < 4; ++k) meet(maximum, V(input + pixels[k], stdx::element_aligned));
    where(maximum <= 0, maximum) = 0;
    store_channels(maximum, output, output_stride);
  }

  template <typename V>
  void backward(const float* input, const float* output_gradient, float* input_gradient) const {
    V maximum(input, stdx::element_aligned);
    auto second = meet(maximum, V(input + pixels[1], stdx::element_aligned));
    auto third = meet(maximum, V(input + pixels[2], stdx::element_aligned));
    const auto fourth = meet(maximum, V(input + pixels[3], stdx::element_aligned));
    third = third && !fourth;
    second = second && !third && !fourth;
    const auto first = !second && !third && !fourth;
    const V gradient = keep(!(maximum <= 0), load_channels<V>(output_gradient, output_stride));
    keep(first, gradient).copy_to(input_gradient, stdx::element_aligned);
    keep(second, gradient).copy_to(input_gradient + pixels[1], stdx::element_aligned);
    keep(third, gradient).copy_to(input_gradient + pixels[2], stdx::element_aligned);
    keep(fourth, gradient).copy_to(input_gradient + pixels[3], stdx::element_aligned);
  }
};

class ReluMaxPool final : public Layer {
 public:
  ReluMaxPool(const ImageLayout& input, const ImageLayout& output, int batch)
      : input_(input), output_(output), batch_(batch) {
    const std::ptrdiff_t right = input.block;
    const std::ptrdiff_t below = right * input.width;
    window_.pixels = {0, right, below, below + right};
    window_.output_stride = output.block == 1 ? output.height * output.width : 1;
  }

  std::size_t output_size() const override { return output_.size() * batch_; }

  void forward(const float* /*parameters*/, const float* input, float* output) override {
    for_each_window([&]<typename V>(V, std::size_t in, std::size_t out) {
      window_.forward<V>(input + in, output + out);
    });
  }

  void backward(const float* /*parameters*/, const float* input, const float* output_gradient,
                float* input_gradient, float* /*gradient*/) override {
    if (!input_gradient) return;
    for_each_window([&]<typename V>(V, std::size_t in, std::size_t out) {
      window_.backward<V>(input + in, output_gradient + out, input_gradient + in);
    });
    clear_edges(input_gradient);
  }

 private:
  /// visit(V, offset of the window's first pixel, offset of the output pixel), for as many channels at once
  /// as V has lanes. Channels go outside the pixels of a row, which stays in the first cache in any format.
  template <typename Visit>
  void for_each_window(Visit visit) const {
    constexpr int lanes = lane_count<float>;
    const bool contiguous = input_.block % lanes == 0 && (output_.block == 1 || output_.block % lanes == 0);
    for (int n = 0; n < batch_; ++n) {
      for (int y = 0; y < output_.height; ++y) {
        int channel = 0;
        if (contiguous) {
          for (; channel + lanes <= input_.channels; channel += lanes) {
            visit_row(n, channel, y, Lanes<float>(), visit);
          }
        }
        for (; channel < input_.channels; ++channel) visit_row(n, channel, y, OneLane(), visit);
      }
    }
  }

  template <typename V, typename Visit>
  void visit_row(int n, int channel, int y, V lanes, Visit& visit) const {
    std::size_t in = n * input_.size() + input_.offset(channel, 2 * y, 0);
    std::size_t out = n * output_.size() + output_.offset(channel, y, 0);
    for (int x = 0; x < output_.width; ++x) {
      visit(lanes, in, out);
      in += std::size_t{2} * input_.block;
      out += output_.block;
    }
  }

  /// Zeroes the odd last row and column, which belong to no window.
  void clear_edges(float* input_gradient) const {
    const std::size_t block = input_.block;
    const bool odd_height = input_.height % 2 == 1;
    const bool odd_width = input_.width % 2 == 1;
    for (int n = 0; n < batch_; ++n, input_gradient += input_.size()) {
      for (int channel = 0; channel < input_.channels; channel += input_.block) {
        float* last_row = input_gradient + input_.offset(channel, input_.height - 1, 0);
        if (odd_height) std::fill_n(last_row, input_.width * block, 0.0F);
        if (!odd_width) continue;
        for (int y = 0; y < input_.height; ++y) {
          std::fill_n(input_gradient + input_.offset(channel, y, input_.width - 1), block, 0.0F);
        }
      }
    }
  }

  ImageLayout input_;
  ImageLayout output_;
  int batch_;
  Window window_{};
};

}  // namespace

std::unique_ptr<Layer> make_relu_max_pool(const ImageLayout& input, const ImageLayout& output, int batch) {
  return std::make_unique<ReluMaxPool>(input, output, batch);
}

}  // namespace tardigrad::models
