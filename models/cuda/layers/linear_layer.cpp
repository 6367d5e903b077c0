#include "models/cuda/layers/linear_layer.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/bias_relu.h"

namespace tardigrad::models::cuda {
namespace {

/// Calls visit(Number{}, Sum{}) with the types of activations and of bias gradients, of which fp32 and bf16
/// is no combination.
template <typename Visitor>
void visit_number_and_sum(Element number, Element sum, const Visitor& visit) {
  if (number == Element::f32) return visit(0.0F, 0.0F);
  if (sum == Element::f32) return visit(Bf16{}, 0.0F);
  visit(Bf16{}, Bf16{});
}

MatmulArguments forward_arguments(const LinearOperands& operands) {
  return {operands.weight, operands.input, operands.output, operands.bias};
}

MatmulArguments backward_data_arguments(const LinearOperands& operands) {
  return {operands.weight, operands.sums_gradient, operands.input_gradient};
}

MatmulArguments backward_weight_arguments(const LinearOperands& operands) {
  return {operands.input, operands.sums_gradient, operands.weight_gradient, operands.bias_gradient};
}

}  // namespace

std::size_t LinearAlgorithms::workspace_bytes() const {
  return std::max({forward.matmul.workspace_bytes, backward_data.matmul.workspace_bytes,
                   backward_weight.matmul.workspace_bytes});
}

LinearLayer::LinearLayer(Device device, const LinearStage& stage, int batch, Precision precision)
    : device_(device), stage_(stage), batch_(batch), precision_(precision) {}

// A row-major matrix is the transposed column-major one, so Y = X Wᵀ is computed as Yᵀ = W Xᵀ, dX = dY W as
// dXᵀ = Wᵀ dYᵀ, and dW = dYᵀ X as dWᵀ = Xᵀ dY.

MatmulShape LinearLayer::forward_shape() const {
  MatmulShape shape{.m = stage_.linear.outputs, .n = batch_, .k = stage_.linear.inputs};
  shape.transpose_a = true;
  shape.input = shape.output = element_of(precision_);
  shape.epilogue = stage_.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
  return shape;
}

MatmulShape LinearLayer::backward_data_shape() const {
  MatmulShape shape{.m = stage_.linear.inputs, .n = batch_, .k = stage_.linear.outputs};
  shape.input = shape.output = element_of(precision_);
  return shape;
}

MatmulShape LinearLayer::backward_weight_shape() const {
  MatmulShape shape{.m = stage_.linear.inputs, .n = stage_.linear.outputs, .k = batch_};
  shape.transpose_b = true;
  shape.input = element_of(precision_);
  shape.output = gradient_element(stage_.weight);
  if (!stage_.relu) shape.epilogue = CUBLASLT_EPILOGUE_BGRADB;
  return shape;
}

Element LinearLayer::gradient_element(const Parameter& parameter) const {
  return parameter.packed_gradient ? element_of(precision_) : Element::f32;
}

LinearAlgorithms LinearLayer::choose(const Execution& execution, const Search& search,
                                     const LinearOperands& operands) const {
  LinearAlgorithms chosen;
  chosen.forward = choose("forward", forward_shape(), forward_arguments(operands), execution, search);
  chosen.backward_weight = choose("weight gradient", backward_weight_shape(),
                                  backward_weight_arguments(operands), execution, search);
  if (stage_.wants_input_gradient) {
    chosen.backward_data =
        choose("input gradient", backward_data_shape(), backward_data_arguments(operands), execution, search);
  }
  return chosen;
}

ProductAlgorithm LinearLayer::choose(const char* what, const MatmulShape& shape,
                                     const MatmulArguments& arguments, const Execution& execution,
                                     const Search& search) const {
  for (const bool fused : {true, false}) {
    if (fused && !search.fuse) continue;
    const Matmul product = make(shape, {.fused = fused, .matmul = {}});
    if (const auto matmul = product.choose(execution, search, arguments)) return {fused, *matmul};
  }
  throw DeviceError(
      device_,
      fmt::format("{}: linear layer, {}: no algorithm of cuBLASLt's for {}x{}x{} with {} MiB of workspace",
                  device_.name(), what, shape.m, shape.n, shape.k, search.workspace_limit >> 20));
}

Matmul LinearLayer::make(MatmulShape shape, const ProductAlgorithm& algorithm) const {
  if (!algorithm.fused) shape.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  Matmul matmul(device_, shape, precision_);
  matmul.use(algorithm.matmul);
  return matmul;
}

void LinearLayer::use(const LinearAlgorithms& algorithms) {
  algorithms_ = algorithms;
  forward_.emplace(make(forward_shape(), algorithms.forward));
  backward_weight_.emplace(make(backward_weight_shape(), algorithms.backward_weight));
  if (stage_.wants_input_gradient) {
    backward_data_.emplace(make(backward_data_shape(), algorithms.backward_data));
  }
}

void LinearLayer::forward(const Execution& execution, const LinearOperands& operands) const {
  forward_->run(execution, forward_arguments(operands));
  if (algorithms_.forward.fused) return;
  visit_element(element_of(precision_), [&]<typename Number>() { add_bias<Number>(execution, operands); });
}

void LinearLayer::backward_relu(const Execution& execution, const LinearOperands& operands) const {
  if (stage_.relu) backward_bias_relu(execution, operands);
}

void LinearLayer::backward_weight(const Execution& execution, const LinearOperands& operands) const {
  if (!stage_.relu && !algorithms_.backward_weight.fused) backward_bias_relu(execution, operands);
  backward_weight_->run(execution, backward_weight_arguments(operands));
}

void LinearLayer::backward_data(const Execution& execution, const LinearOperands& operands) const {
  if (backward_data_) backward_data_->run(execution, backward_data_arguments(operands));
}

template <typename Number>
void LinearLayer::add_bias(const Execution& execution, const LinearOperands& operands) const {
  BiasRelu<Number> operation;
  operation.batch = static_cast<std::size_t>(batch_);
  operation.outputs = stage_.linear.output_size();
  operation.relu = stage_.relu;
  operation.bias = static_cast<const Number*>(operands.bias);
  operation.values = static_cast<Number*>(operands.output);
  operation.launch(execution.stream);
}

void LinearLayer::backward_bias_relu(const Execution& execution, const LinearOperands& operands) const {
  const Element sums = gradient_element(stage_.bias);
  visit_number_and_sum(element_of(precision_), sums, [&]<typename Number, typename Sum>(Number, Sum) {
    BiasReluBackward<Number, Sum> operation;
    operation.batch = static_cast<std::size_t>(batch_);
    operation.outputs = stage_.linear.output_size();
    operation.output_gradient = static_cast<const Number*>(operands.output_gradient);
    if (stage_.relu) {
      operation.activation = static_cast<const Number*>(operands.output);
      operation.gated = static_cast<Number*>(operands.sums_gradient);
    }
    operation.bias_gradient = static_cast<Sum*>(operands.bias_gradient);
    operation.launch(execution.stream);
  });
}

}  // namespace tardigrad::models::cuda
