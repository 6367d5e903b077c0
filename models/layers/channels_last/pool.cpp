#include "models/layers/pool.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "models/layers/pool_windows.h"

// oneDNN has poolings, too, but its maximum loses NaN. Here the inner loops run over channels, which lie side
// by side.
namespace tardigrad::models::channels_last {
namespace {

class MaxPoolLayer final : public Layer {
 public:
  MaxPoolLayer(const MaxPool& pool, int batch)
      : pool_(pool), batch_(batch), winners_(pool.output_size() * static_cast<std::size_t>(batch)) {}

  std::size_t output_size() const override { return winners_.size(); }

  void forward(const float* /*parameters*/, const float* input, float* output) override {
    const std::size_t channels = pool_.channels;
    std::int32_t* winners = winners_.data();
    for (int n = 0; n < batch_; ++n, input += pool_.input_size()) {
      for_each_window(pool_, [&](const VisibleWindow& window, std::size_t) {
        const std::size_t first = static_cast<std::size_t>(window.y_begin) * pool_.width + window.x_begin;
        std::copy_n(input + first * channels, channels, output);
        std::fill_n(winners, channels, static_cast<std::int32_t>(first));
        for (int y = window.y_begin; y < window.y_end; ++y) {
          for (int x = window.x_begin; x < window.x_end; ++x) {
            const auto pixel = static_cast<std::int32_t>(y * pool_.width + x);
            meet(input + pixel * channels, pixel, output, winners);
          }
        }
        output += channels;
        winners += channels;
      });
    }
  }

  void backward(const float* /*parameters*/, const float* /*input*/, const float* output_gradient,
                float* input_gradient, float* /*gradient*/) override {
    if (!input_gradient) return;
    std::fill_n(input_gradient, pool_.input_size() * batch_, 0.0F);
    const std::size_t channels = pool_.channels;
    const std::int32_t* winners = winners_.data();
    for (int n = 0; n < batch_; ++n, input_gradient += pool_.input_size()) {
      for (std::size_t pixel = 0; pixel < pool_.output_size() / channels; ++pixel) {
        for (std::size_t c = 0; c < channels; ++c) {
          input_gradient[*winners++ * channels + c] += *output_gradient++;
        }
      }
    }
  }

 private:
  /// Replaces maxima where PyTorch's max-pool would: by what is larger, or NaN.
  void meet(const float* values, std::int32_t pixel, float* maxima, std::int32_t* winners) const {
    for (int c = 0; c < pool_.channels; ++c) {
      const bool wins = values[c] > maxima[c] || std::isnan(values[c]);
      maxima[c] = wins ? values[c] : maxima[c];
      winners[c] = wins ? pixel : winners[c];
    }
  }

  MaxPool pool_;
  int batch_;
  std::vector<std::int32_t> winners_;  // of the last forward pass: pixels of the input
};

class AvgPoolLayer final : public Layer {
 public:
  AvgPoolLayer(const AvgPool& pool, int batch) : pool_(pool), batch_(batch) {}

  std::size_t output_size() const override { return pool_.output_size() * batch_; }

  void forward(const float* /*parameters*/, const float* input, float* output) override {
    std::fill_n(output, output_size(), 0.0F);
    for_each_pixel([&](std::size_t in, std::size_t out) {
      for (int c = 0; c < pool_.channels; ++c) output[out + c] += input[in + c] * share_;
    });
  }

  void backward(const float* /*parameters*/, const float* /*input*/, const float* output_gradient,
                float* input_gradient, float* /*gradient*/) override {
    if (!input_gradient) return;
    std::fill_n(input_gradient, pool_.input_size() * batch_, 0.0F);
    for_each_pixel([&](std::size_t in, std::size_t out) {
      for (int c = 0; c < pool_.channels; ++c) input_gradient[in + c] += output_gradient[out + c] * share_;
    });
  }

 private:
  /// Calls visit(input element, output element), each of the first channel, for all pixels of all windows.
  template <typename Visit>
  void for_each_pixel(const Visit& visit) const {
    const std::size_t channels = pool_.channels;
    for (int n = 0; n < batch_; ++n) {
      for_each_window(pool_, [&](const VisibleWindow& window, std::size_t pixel) {
        for (int y = window.y_begin; y < window.y_end; ++y) {
          for (int x = window.x_begin; x < window.x_end; ++x) {
            visit(n * pool_.input_size() + (static_cast<std::size_t>(y) * pool_.width + x) * channels,
                  n * pool_.output_size() + pixel * channels);
          }
        }
      });
    }
  }

  AvgPool pool_;
  int batch_;
  float share_ = 1 / static_cast<float>(pool_.kernel * pool_.kernel);
};

class GlobalAvgPoolLayer final : public Layer {
 public:
  GlobalAvgPoolLayer(const GlobalAvgPool& pool, int batch) : pool_(pool), batch_(batch) {}

  std::size_t output_size() const override { return pool_.output_size() * batch_; }

  void forward(const float* /*parameters*/, const float* input, float* output) override {
    for (int n = 0; n < batch_; ++n, output += pool_.channels) {
      std::fill_n(output, pool_.channels, 0.0F);
      for (int pixel = 0; pixel < pool_.pixels; ++pixel, input += pool_.channels) {
        for (int c = 0; c < pool_.channels; ++c) output[c] += input[c];
      }
      for (int c = 0; c < pool_.channels; ++c) output[c] /= static_cast<float>(pool_.pixels);
    }
  }

  void backward(const float* /*parameters*/, const float* /*input*/, const float* output_gradient,
                float* input_gradient, float* /*gradient*/) override {
    if (!input_gradient) return;
    const auto pixels = static_cast<float>(pool_.pixels);
    for (int n = 0; n < batch_; ++n, output_gradient += pool_.channels) {
      for (int pixel = 0; pixel < pool_.pixels; ++pixel, input_gradient += pool_.channels) {
        for (int c = 0; c < pool_.channels; ++c) input_gradient[c] = output_gradient[c] / pixels;
      }
    }
  }

 private:
  GlobalAvgPool pool_;
  int batch_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const MaxPool& pool, int batch) {
  return std::make_unique<MaxPoolLayer>(pool, batch);
}

std::unique_ptr<Layer> make_layer(const AvgPool& pool, int batch) {
  return std::make_unique<AvgPoolLayer>(pool, batch);
}

std::unique_ptr<Layer> make_layer(const GlobalAvgPool& pool, int batch) {
  return std::make_unique<GlobalAvgPoolLayer>(pool, batch);
}

}  // namespace tardigrad::models::channels_last
