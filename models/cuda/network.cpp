#include "models/cuda/network.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "kernels/bias_relu_max_pool.h"
#include "kernels/bias_relu_max_pool_backward.h"
#include "kernels/softmax_cross_entropy.h"

namespace tardigrad::models::cuda {
namespace {

void require_aligned(const float* vector) {
  if (reinterpret_cast<std::uintptr_t>(vector) % 16 != 0) {
    throw std::logic_error("parameters and gradient must be aligned to 16 bytes");
  }
}

}  // namespace

std::size_t Plan::workspace_bytes() const {
  std::size_t bytes = 0;
  for (const auto& algorithms : convolutions) bytes = std::max(bytes, algorithms.workspace_bytes());
  for (const auto& algorithms : linears) bytes = std::max(bytes, algorithms.workspace_bytes());
  return bytes;
}

Network::Network(const StreamRef& stream, const Architecture& architecture, int batch, Precision precision,
                 Activations activations)
    : stream_(stream),
      blueprint_(make_blueprint(architecture, batch, precision, activations)),
      dimension_(architecture.layout().dimension()),
      classes_(architecture.classes()),
      libraries_(stream.device()),
      memory_(stream, blueprint_.bytes) {
  const Device device = stream.device();
  const CurrentDevice current(device);
  for (const ConvolutionStage& stage : blueprint_.convolutions) {
    convolutions_.emplace_back(device, stage, batch, precision);
  }
  const LinearStage* below = nullptr;
  for (const LinearStage& stage : blueprint_.linears) {
    linears_.emplace_back(device, stage, below, batch, precision);
    below = &stage;
  }
  stream.zero(memory_.ref());  // algorithms are measured on numbers, labels are always classes
}

Execution Network::execution(CudaStream stream) {
  TARDIGRAD_CUDA_CHECK(cudnnSetStream(libraries_.cudnn.get(), stream), stream_.device());
  Execution execution{.stream = stream,
                      .cudnn = libraries_.cudnn.get(),
                      .cublas = libraries_.cublas.get(),
                      .workspace = nullptr,
                      .workspace_bytes = 0};
  if (workspace_) {
    execution.workspace = workspace_->ref().data();
    execution.workspace_bytes = workspace_->size();
  }
  return execution;
}

Plan Network::choose(CudaStream stream, const Search& search) {
  Buffer<float> parameters(stream_, dimension_);
  Buffer<float> gradient(stream_, dimension_);
  stream_.zero(parameters.ref());
  stream_.zero(gradient.ref());
  const Vectors vectors{parameters.ref().data(), gradient.ref().data()};
  workspace_.emplace(stream_, search.workspace_limit);
  const Execution run = execution(stream);
  Plan plan{.precision = blueprint_.precision,
            .activations = blueprint_.activations,
            .convolutions = {},
            .linears = {}};
  for (std::size_t l = 0; l < convolutions_.size(); ++l) {
    const ConvolutionStage& stage = blueprint_.convolutions[l];
    plan.convolutions.push_back(convolutions_[l].choose(
        run, search, at(stage.input), gradient_of(stage.weight, vectors.gradient), at(stage.convolved)));
  }
  for (std::size_t l = 0; l < linears_.size(); ++l) {
    plan.linears.push_back(linears_[l].choose(run, search, operands(l, vectors)));
  }
  workspace_.reset();
  stream_.zero(memory_.ref());
  return plan;
}

bool Network::fits(const Plan& plan) const {
  return plan.convolutions.size() == convolutions_.size() && plan.linears.size() == linears_.size();
}

void Network::use(const Plan& plan) {
  const CurrentDevice current(stream_.device());
  for (std::size_t l = 0; l < convolutions_.size(); ++l) convolutions_[l].use(plan.convolutions.at(l));
  for (std::size_t l = 0; l < linears_.size(); ++l) linears_[l].use(plan.linears.at(l));
  workspace_.emplace(stream_, plan.workspace_bytes());
}

void Network::gradient(CudaStream stream, const float* parameters, float* gradient, float* loss) {
  require_aligned(parameters);
  require_aligned(gradient);
  const Execution run = execution(stream);
  visit_element(blueprint_.element, [&]<typename Number>() {
    pack<Number>(stream, parameters);
    forward(run, parameters);
    differentiate_loss<Number>(stream, loss);
    backward(run, {parameters, gradient});
    unpack<Number>(stream, gradient);
  });
}

void Network::evaluate(CudaStream stream, const float* parameters, int count, float* losses,
                       std::uint8_t* hits) {
  require_aligned(parameters);
  const Execution run = execution(stream);
  visit_element(blueprint_.element, [&]<typename Number>() {
    pack<Number>(stream, parameters);
    forward(run, parameters);
    measure_loss<Number>(stream, count, losses, hits);
  });
}

const void* Network::value(const Parameter& parameter, const float* parameters) {
  if (!parameter.packed) return parameters + parameter.flat;
  return at(blueprint_.working + *parameter.packed * size_of(blueprint_.element));
}

void* Network::gradient_of(const Parameter& parameter, float* gradient) {
  if (!parameter.packed_gradient) return gradient + parameter.flat;
  return at(blueprint_.working_gradients + *parameter.packed_gradient * size_of(blueprint_.element));
}

LinearOperands Network::operands(std::size_t l, const Vectors& vectors) {
  const LinearStage& stage = blueprint_.linears[l];
  LinearOperands operands;
  operands.weight = value(stage.weight, vectors.parameters);
  operands.bias = value(stage.bias, vectors.parameters);
  operands.input = at(stage.input);
  operands.output = at(stage.output);
  operands.output_gradient = at(stage.output_gradient);
  operands.input_gradient = at(stage.input_gradient);
  if (!vectors.gradient) return operands;
  operands.weight_gradient = gradient_of(stage.weight, vectors.gradient);
  operands.bias_gradient = gradient_of(stage.bias, vectors.gradient);
  if (l == 0) return operands;
  const LinearStage& below = blueprint_.linears[l - 1];
  operands.below_output = at(below.output);
  operands.below_bias_gradient = gradient_of(below.bias, vectors.gradient);
  return operands;
}

void Network::forward(const Execution& execution, const float* parameters) {
  for (std::size_t l = 0; l < convolutions_.size(); ++l) {
    const ConvolutionStage& stage = blueprint_.convolutions[l];
    convolutions_[l].forward(execution, at(stage.input), value(stage.weight, parameters),
                             at(stage.convolved));
    visit_element(blueprint_.element,
                  [&]<typename Number>() { pool<Number>(execution.stream, stage, parameters); });
  }
  for (std::size_t l = 0; l < linears_.size(); ++l) {
    linears_[l].forward(execution, operands(l, {parameters, nullptr}));
  }
}

/// The gradient with respect to an activation may take its place: products that still read the activation
/// come first.
void Network::backward(const Execution& execution, const Vectors& vectors) {
  for (std::size_t l = linears_.size(); l-- > 0;) linears_[l].backward(execution, operands(l, vectors));
  for (std::size_t l = convolutions_.size(); l-- > 0;) {
    const ConvolutionStage& stage = blueprint_.convolutions[l];
    visit_element(blueprint_.element, [&]<typename Number>() {
      pool_backward<Number>(execution.stream, stage, vectors.gradient);
    });
    convolutions_[l].backward_weight(execution, at(stage.input), at(stage.convolved),
                                     gradient_of(stage.weight, vectors.gradient));
    if (!stage.reads_images) {
      convolutions_[l].backward_data(execution, value(stage.weight, vectors.parameters), at(stage.convolved),
                                     at(stage.input));
    }
  }
}

template <typename Number>
void Network::pack(CudaStream stream, const float* parameters) {
  for (const RepackedTensors& tensors : blueprint_.packed) {
    PackParameters<Number> operation;
    operation.tensors = tensors;
    operation.flat = parameters;
    operation.working = static_cast<Number*>(at(blueprint_.working));
    operation.launch(stream);
  }
}

template <typename Number>
void Network::unpack(CudaStream stream, float* gradient) {
  for (const RepackedTensors& tensors : blueprint_.packed_gradients) {
    UnpackGradients<Number> operation;
    operation.tensors = tensors;
    operation.working = static_cast<const Number*>(at(blueprint_.working_gradients));
    operation.flat = gradient;
    operation.launch(stream);
  }
}

template <typename Number>
void Network::pool(CudaStream stream, const ConvolutionStage& stage, const float* parameters) {
  BiasReluMaxPool<Number> operation;
  operation.shape = stage.pool;
  operation.input = static_cast<const Number*>(at(stage.convolved));
  operation.bias = parameters + stage.bias.flat;
  operation.output = static_cast<Number*>(at(stage.pooled));
  operation.winners = static_cast<std::uint8_t*>(at(stage.winners));
  operation.launch(stream);
}

template <typename Number>
void Network::pool_backward(CudaStream stream, const ConvolutionStage& stage, float* gradient) {
  BiasReluMaxPoolBackward<Number> operation;
  operation.shape = stage.pool;
  operation.output_gradient = static_cast<const Number*>(at(stage.pooled));
  operation.winners = static_cast<const std::uint8_t*>(at(stage.winners));
  operation.input_gradient = static_cast<Number*>(at(stage.convolved));
  operation.bias_gradient = gradient + stage.bias.flat;
  operation.partial_sums = static_cast<float*>(at(blueprint_.partial_sums));
  operation.launch(stream);
}

template <typename Number>
void Network::differentiate_loss(CudaStream stream, float* loss) {
  SoftmaxCrossEntropy<Number> operation;
  operation.batch = static_cast<std::size_t>(blueprint_.batch);
  operation.classes = static_cast<std::size_t>(classes_);
  operation.logits = static_cast<const Number*>(at(blueprint_.linears.back().output));
  operation.labels = labels();
  operation.gradient = static_cast<Number*>(at(blueprint_.linears.back().output_gradient));
  operation.loss = loss;
  operation.losses = static_cast<float*>(at(blueprint_.losses));
  operation.launch(stream);
}

template <typename Number>
void Network::measure_loss(CudaStream stream, int count, float* losses, std::uint8_t* hits) {
  SoftmaxCrossEntropy<Number> operation;
  operation.batch = static_cast<std::size_t>(count);
  operation.classes = static_cast<std::size_t>(classes_);
  operation.logits = static_cast<const Number*>(at(blueprint_.linears.back().output));
  operation.labels = labels();
  operation.losses = losses;
  operation.hits = hits;
  operation.launch(stream);
}

}  // namespace tardigrad::models::cuda
