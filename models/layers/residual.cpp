#include "models/layers/residual.h"

#include <utility>

namespace tardigrad::models {
namespace {

class ResidualLayer final : public Layer {
 public:
  ResidualLayer(Layers branch, Layers shortcut, std::size_t input_size)
      : branch_(std::move(branch)), shortcut_(std::move(shortcut)), input_size_(input_size) {
    if (!shortcut_.empty()) branch_input_gradient_.resize(input_size);
  }

  std::size_t output_size() const override { return branch_.output_size(); }

  void use_masks(const std::optional<MaskKey>& key) override {
    branch_.use_masks(key);
    shortcut_.use_masks(key);
  }

  void forward(const float* parameters, const float* input, float* output) override {
    const float* branch = branch_.forward(parameters, input);
    const float* shortcut = shortcut_.empty() ? input : shortcut_.forward(parameters, input);
    for (std::size_t i = 0; i < output_size(); ++i) output[i] = branch[i] + shortcut[i];
  }

  void backward(const float* parameters, const float* input, const float* output_gradient,
                float* input_gradient, float* gradient) override {
    if (shortcut_.empty()) {
      branch_.backward(parameters, input, output_gradient, input_gradient, gradient);
      if (input_gradient) add(output_gradient, input_gradient);
      return;
    }
    float* branch_input_gradient = input_gradient ? branch_input_gradient_.data() : nullptr;
    branch_.backward(parameters, input, output_gradient, branch_input_gradient, gradient);
    shortcut_.backward(parameters, input, output_gradient, input_gradient, gradient);
    if (input_gradient) add(branch_input_gradient, input_gradient);
  }

 private:
  void add(const float* from, float* to) const {
    for (std::size_t i = 0; i < input_size_; ++i) to[i] += from[i];
  }

  Sequence branch_, shortcut_;
  std::size_t input_size_;
  AlignedVector<float> branch_input_gradient_;  // empty where the shortcut has no layers
};

}  // namespace

std::unique_ptr<Layer> make_residual(Layers branch, Layers shortcut, std::size_t input_size) {
  return std::make_unique<ResidualLayer>(std::move(branch), std::move(shortcut), input_size);
}

}  // namespace tardigrad::models
