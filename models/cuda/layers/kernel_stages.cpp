#include "models/cuda/layers/kernel_stages.h"

#include <type_traits>

#include "kernels/add_parts.h"
#include "kernels/apply_dropout.h"
#include "kernels/bias_relu_max_pool.h"
#include "kernels/bias_relu_max_pool_backward.h"
#include "kernels/channel_bias.h"
#include "kernels/conv_relu_pool.h"
#include "kernels/elementwise.h"
#include "kernels/reorder_images.h"

namespace tardigrad::models::cuda {
namespace {

/// Enqueues the stages of a pass of a network whose activations are Numbers.
template <typename Number>
class Kernels {
 public:
  explicit Kernels(const Pass& pass) : pass_(pass) {}

  void forward(const ConvReluPoolStage& stage) const {
    ConvReluPool<Number> operation;
    operation.shape = stage.shape;
    operation.input = value(stage.input);
    operation.weight = pass_.parameters + stage.weight;
    operation.bias = pass_.parameters + stage.bias;
    operation.output = value(stage.output);
    operation.winners = at<std::uint8_t>(stage.winners);
    operation.launch(pass_.stream);
  }

  void backward(const ConvReluPoolStage& stage) const {
    ConvReluPoolBackward<Number> operation;
    operation.shape = stage.shape;
    operation.input = value(stage.input);
    operation.output_gradient = gradient_of(stage.output);
    operation.winners = at<std::uint8_t>(stage.winners);
    operation.partial_sums = at<float>(stage.partial_sums);
    operation.launch(pass_.stream);
  }

  void forward(const BiasReluMaxPoolStage& stage) const {
    BiasReluMaxPool<Number> operation;
    operation.shape = stage.shape;
    operation.input = value(stage.input);
    operation.bias = pass_.parameters + stage.bias;
    operation.output = value(stage.output);
    operation.winners = at<std::uint8_t>(stage.winners);
    operation.launch(pass_.stream);
  }

  void backward(const BiasReluMaxPoolStage& stage) const {
    BiasReluMaxPoolBackward<Number> operation;
    operation.shape = stage.shape;
    operation.output_gradient = gradient_of(stage.output);
    operation.winners = at<std::uint8_t>(stage.winners);
    operation.input_gradient = gradient_of(stage.input);
    operation.partial_sums = at<float>(stage.partial_sums);
    operation.launch(pass_.stream);
  }

  void forward(const BiasStage& stage) const {
    ChannelBias<Number> operation;
    operation.shape = pass_.blueprint[stage.output].shape;
    operation.relu = stage.relu;
    operation.bias = pass_.parameters + stage.bias;
    operation.values = value(stage.output);
    operation.launch(pass_.stream);
  }

  void backward(const BiasStage& stage) const {
    ChannelBiasBackward<Number> operation;
    operation.shape = pass_.blueprint[stage.output].shape;
    operation.output_gradient = gradient_of(stage.output);
    if (stage.relu) {
      operation.activation = value(stage.output);
      operation.gated = gradient_of(stage.input);
    }
    operation.partial_sums = at<float>(stage.partial_sums);
    operation.launch(pass_.stream);
  }

  void forward(const ReluStage& stage) const {
    const std::size_t size = size_of(stage.input);
    ReluForward<Number>{size, value(stage.input), value(stage.output)}.launch(pass_.stream);
  }

  void backward(const ReluStage& stage) const {
    relu_backward(stage.input, gradient_of(stage.output), gradient_of(stage.input));
  }

  void forward(const GeluStage& stage) const {
    const std::size_t size = size_of(stage.input);
    GeluForward<Number>{size, value(stage.input), value(stage.output)}.launch(pass_.stream);
  }

  void backward(const GeluStage& stage) const {
    GeluBackward<Number>{size_of(stage.input), value(stage.input), gradient_of(stage.output),
                         gradient_of(stage.input)}
        .launch(pass_.stream);
  }

  void forward(const DropoutStage& stage) const {
    ApplyDropout<Number> operation = dropout_of(stage);
    operation.input = value(stage.input);
    operation.output = value(stage.output);
    operation.launch(pass_.stream);
  }

  void backward(const DropoutStage& stage) const {
    ApplyDropout<Number> operation = dropout_of(stage);
    operation.input = gradient_of(stage.output);
    operation.output = gradient_of(stage.input);
    operation.launch(pass_.stream);
  }

  void forward(const NormStage& stage) const {
    NormForward<Number> operation;
    operation.shape = stage.shape;
    operation.epsilon = stage.epsilon;
    operation.relu = stage.relu;
    operation.input = value(stage.input);
    operation.weight = pass_.parameters + stage.weight;
    operation.bias = pass_.parameters + stage.bias;
    operation.output = value(stage.output);
    operation.statistics = at<float>(stage.statistics);
    operation.launch(pass_.stream);
  }

  void backward(const NormStage& stage) const {
    NormBackward<Number> operation;
    operation.shape = stage.shape;
    operation.relu = stage.relu;
    operation.input = value(stage.input);
    operation.weight = pass_.parameters + stage.weight;
    operation.bias = pass_.parameters + stage.bias;
    operation.statistics = at<float>(stage.statistics);
    operation.output_gradient = gradient_of(stage.output);
    if (pass_.blueprint[stage.input].wants_gradient) operation.input_gradient = gradient_of(stage.input);
    operation.partial_sums = at<float>(stage.partial_sums);
    operation.launch(pass_.stream);
  }

  void forward(const MaxPoolStage& stage) const {
    MaxPoolForward<Number> operation;
    operation.shape = stage.shape;
    operation.input = value(stage.input);
    operation.output = value(stage.output);
    operation.winners = at<std::uint32_t>(stage.winners);
    operation.launch(pass_.stream);
  }

  void backward(const MaxPoolStage& stage) const {
    MaxPoolBackward<Number> operation;
    operation.shape = stage.shape;
    operation.output_gradient = gradient_of(stage.output);
    operation.winners = at<std::uint32_t>(stage.winners);
    operation.input_gradient = gradient_of(stage.input);
    operation.launch(pass_.stream);
  }

  void forward(const AvgPoolStage& stage) const {
    AvgPoolForward<Number>{stage.shape, value(stage.input), value(stage.output)}.launch(pass_.stream);
  }

  void backward(const AvgPoolStage& stage) const {
    AvgPoolBackward<Number>{stage.shape, gradient_of(stage.output), gradient_of(stage.input)}.launch(
        pass_.stream);
  }

  void forward(const ReorderStage& stage) const {
    ReorderImages<Number>{pass_.blueprint[stage.input].shape, value(stage.input), value(stage.output)}.launch(
        pass_.stream);
  }

  void backward(const ReorderStage& stage) const {
    ReorderImages<Number>{pass_.blueprint[stage.output].shape, gradient_of(stage.output),
                          gradient_of(stage.input)}
        .launch(pass_.stream);
  }

  void forward(const ForkStage& /*stage*/) const {}

  void backward(const ForkStage& stage) const {
    AddElements<Number>{size_of(stage.input), false, gradient_of(stage.first), gradient_of(stage.second),
                        gradient_of(stage.input)}
        .launch(pass_.stream);
  }

  void forward(const JoinStage& stage) const {
    AddElements<Number>{size_of(stage.output), stage.relu, value(stage.first), value(stage.second),
                        value(stage.output)}
        .launch(pass_.stream);
  }

  /// Both branches have the gradient of the sum.
  void backward(const JoinStage& stage) const {
    if (stage.relu) relu_backward(stage.output, gradient_of(stage.output), gradient_of(stage.sum));
  }

 private:
  template <typename T>
  T* at(std::size_t offset) const {
    return static_cast<T*>(pass_.at(offset));
  }
  Number* value(ActivationId id) const { return static_cast<Number*>(pass_.value(id)); }
  Number* gradient_of(ActivationId id) const { return static_cast<Number*>(pass_.gradient_of(id)); }
  std::size_t size_of(ActivationId id) const { return pass_.blueprint[id].shape.size(); }

  void relu_backward(ActivationId activation, const Number* output_gradient, Number* to) const {
    ReluBackward<Number>{size_of(activation), value(activation), output_gradient, to}.launch(pass_.stream);
  }

  ApplyDropout<Number> dropout_of(const DropoutStage& stage) const {
    ApplyDropout<Number> operation;
    operation.shape = pass_.blueprint[stage.input].shape;
    operation.probability = stage.probability;
    operation.start = pass_.drops ? pass_.mask_starts() + stage.number : nullptr;
    return operation;
  }

  const Pass& pass_;
};

template <typename OneStage>
bool wants_way_back(const Blueprint& blueprint, const OneStage& stage) {
  if constexpr (std::is_same_v<OneStage, ForkStage>) {
    return blueprint[stage.input].wants_gradient;
  } else {
    return blueprint[stage.output].wants_gradient;
  }
}

}  // namespace

void forward(const Pass& pass, const KernelStage& any) {
  visit_element(pass.blueprint.element, [&]<typename Number>() {
    std::visit([&](const auto& stage) { Kernels<Number>(pass).forward(stage); }, any);
  });
}

void backward(const Pass& pass, const KernelStage& any) {
  visit_element(pass.blueprint.element, [&]<typename Number>() {
    const auto enqueue = [&](const auto& stage) {
      if (wants_way_back(pass.blueprint, stage)) Kernels<Number>(pass).backward(stage);
    };
    std::visit(enqueue, any);
  });
}

void add_parts(const Pass& pass) {
  for (const AddedParts& added : pass.blueprint.partial_sums) {
    AddParts operation;
    operation.added = added;
    operation.partial_sums = static_cast<const float*>(pass.at(0));
    operation.gradient = pass.gradient;
    operation.launch(pass.stream);
  }
}

}  // namespace tardigrad::models::cuda
