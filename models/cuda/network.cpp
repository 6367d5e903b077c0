#include "models/cuda/network.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

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

std::size_t Plan::weight_workspace_bytes() const {
  std::size_t bytes = 0;
  for (const auto& layer : convolutions) bytes = std::max(bytes, layer.backward_weight.workspace_bytes());
  for (const auto& layer : linears) bytes = std::max(bytes, layer.backward_weight.matmul.workspace_bytes);
  return bytes;
}

Plan Plan::fused() const {
  Plan plan = *this;
  if (first_convolution) return plan;
  plan.way.first_layers = FirstLayers::fused;
  plan.first_convolution = convolutions.front();
  plan.convolutions.erase(plan.convolutions.begin());
  return plan;
}

Plan Plan::unfused() const {
  Plan plan = *this;
  if (!first_convolution) return plan;
  plan.way.first_layers = FirstLayers::apart;
  plan.convolutions.insert(plan.convolutions.begin(), *first_convolution);
  plan.first_convolution.reset();
  return plan;
}

Plan Plan::legacy() const {
  Plan plan = *this;
  for (ConvolutionAlgorithms& layer : plan.convolutions) layer.drop_engines();
  if (plan.first_convolution) plan.first_convolution->drop_engines();
  return plan;
}

bool Plan::has_engines() const {
  return std::ranges::any_of(convolutions, &ConvolutionAlgorithms::has_engines);
}

Network::Network(const StreamRef& stream, const Architecture& architecture, int batch,
                 const WayToCompute& way)
    : stream_(stream),
      blueprint_(make_blueprint(architecture, batch, way)),
      dimension_(architecture.layout().dimension()),
      classes_(architecture.classes()),
      libraries_(stream.device()),
      memory_(stream, blueprint_.bytes) {
  const Device device = stream.device();
  const CurrentDevice current(device);
  for (const auto& stage : blueprint_.all<ConvolutionStage>()) {
    convolutions_.emplace_back(device, stage, batch, way.precision);
  }
  for (const auto& stage : blueprint_.all<LinearStage>()) {
    linears_.emplace_back(device, stage, batch, way.precision);
  }
  stream.zero(memory_.ref());  // algorithms are measured on numbers, labels are always classes
}

Execution Network::execution(CudaStream stream) {
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

Pass Network::pass(CudaStream stream, const float* parameters, float* gradient) {
  return {memory(), stream, parameters, gradient};
}

/// `function(execution, pass)` measures on this network's memory.
template <typename Function>
void Network::measure(CudaStream stream, const Search& search, const Function& function) {
  Buffer<float> parameters(stream_, dimension_);
  Buffer<float> gradient(stream_, dimension_);
  stream_.zero(parameters.ref());
  stream_.zero(gradient.ref());
  workspace_.emplace(stream_, search.workspace_limit);
  function(execution(stream), pass(stream, parameters.ref().data(), gradient.ref().data()));
  workspace_.reset();
  stream_.zero(memory_.ref());
}

Plan Network::choose(CudaStream stream, const Search& search) {
  Plan plan{.way = blueprint_.way, .convolutions = {}, .linears = {}};
  measure(stream, search, [&](const Execution& run, const Pass& whole) {
    for (const auto& stage : blueprint_.all<ConvolutionStage>()) {
      plan.convolutions.push_back(convolutions_[stage.number].choose(
          run, search, whole.value(stage.input), gradient_of(stage.weight, whole.gradient),
          whole.value(stage.output)));
    }
    for (const auto& stage : blueprint_.all<LinearStage>()) {
      plan.linears.push_back(linears_[stage.number].choose(run, search, operands(whole, stage)));
    }
  });
  return plan;
}

void Network::add_engines(CudaStream stream, const Search& search, Plan& plan) {
  measure(stream, search, [&](const Execution& run, const Pass& whole) {
    for (const auto& stage : blueprint_.all<ConvolutionStage>()) {
      convolutions_[stage.number].add_engines(run, search, whole.value(stage.input),
                                              gradient_of(stage.weight, whole.gradient),
                                              whole.value(stage.output), plan.convolutions.at(stage.number));
    }
  });
}

bool Network::fits(const Plan& plan) const {
  return plan.convolutions.size() == convolutions_.size() && plan.linears.size() == linears_.size();
}

void Network::use(const Plan& plan) {
  if (!fits(plan)) throw std::logic_error("a plan of another network");
  const CurrentDevice current(stream_.device());
  for (std::size_t l = 0; l < convolutions_.size(); ++l) {
    convolutions_[l].use(libraries_.cudnn.get(), plan.convolutions.at(l));
  }
  for (std::size_t l = 0; l < linears_.size(); ++l) linears_[l].use(plan.linears.at(l));
  workspace_.emplace(stream_, plan.workspace_bytes());
  if (blueprint_.way.parameter_gradients == ParameterGradients::beside) {
    beside_.emplace(stream_, plan.weight_workspace_bytes());
  }
}

void Network::gradient(CudaStream stream, const float* parameters, float* gradient, float* loss) {
  require_aligned(parameters);
  require_aligned(gradient);
  const Execution run = execution(stream);
  visit_element(blueprint_.element, [&]<typename Number>() {
    Pass whole = pass(stream, parameters, gradient);
    whole.drops = true;
    pack<Number>(stream, parameters);
    forward(run, whole);
    differentiate_loss<Number>(stream, loss);
    backward(run, whole);
    unpack<Number>(stream, gradient);
  });
}

void Network::evaluate(CudaStream stream, const float* parameters, int count, float* losses,
                       std::uint8_t* hits) {
  require_aligned(parameters);
  const Execution run = execution(stream);
  visit_element(blueprint_.element, [&]<typename Number>() {
    pack<Number>(stream, parameters);
    forward(run, pass(stream, parameters, nullptr));
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

LinearOperands Network::operands(const Pass& pass, const LinearStage& stage) {
  LinearOperands operands;
  operands.weight = value(stage.weight, pass.parameters);
  operands.bias = value(stage.bias, pass.parameters);
  operands.input = pass.value(stage.input);
  operands.output = pass.value(stage.output);
  operands.output_gradient = pass.gradient_of(stage.output);
  operands.sums_gradient = pass.gradient_of(stage.sums);
  operands.input_gradient = pass.gradient_of(stage.input);
  if (!pass.gradient) return operands;
  operands.weight_gradient = gradient_of(stage.weight, pass.gradient);
  operands.bias_gradient = gradient_of(stage.bias, pass.gradient);
  return operands;
}

void Network::forward(const Execution& execution, const Pass& pass) {
  for (const Stage& any : blueprint_.stages) {
    if (const auto* convolution = std::get_if<ConvolutionStage>(&any)) {
      convolutions_[convolution->number].forward(execution, pass.value(convolution->input),
                                                 value(convolution->weight, pass.parameters),
                                                 pass.value(convolution->output));
    } else if (const auto* linear = std::get_if<LinearStage>(&any)) {
      linears_[linear->number].forward(execution, operands(pass, *linear));
    } else {
      cuda::forward(pass, std::get<KernelStage>(any));
    }
  }
}

void Network::backward(const Execution& execution, const Pass& pass) try {
  backward_stages(execution, pass);
  add_parts(pass);
  if (beside_) beside_->join(execution);
} catch (...) {
  if (beside_) beside_->abandon();
  throw;
}

/// Behind the lowest product, and what is fused with one, nothing follows that gradients could be computed
/// beside.
void Network::backward_stages(const Execution& execution, const Pass& pass) {
  const auto& stages = blueprint_.stages;
  const auto has_product = [](const Stage& stage) {
    const auto* kernel = std::get_if<KernelStage>(&stage);
    return !kernel || std::holds_alternative<ConvReluPoolStage>(*kernel);
  };
  const auto lowest = static_cast<std::size_t>(std::ranges::find_if(stages, has_product) - stages.begin());
  for (std::size_t i = stages.size(); i-- > 0;) {
    const bool beside = beside_ && i != lowest;
    if (const auto* convolution = std::get_if<ConvolutionStage>(&stages[i])) {
      backward(execution, pass, *convolution, beside);
    } else if (const auto* linear = std::get_if<LinearStage>(&stages[i])) {
      backward(execution, pass, *linear, beside);
    } else {
      cuda::backward(pass, std::get<KernelStage>(stages[i]));
    }
  }
}

/// On one stream the gradient with respect to an activation may take its place: the product that still reads
/// the activation comes first.
void Network::backward(const Execution& execution, const Pass& pass, const ConvolutionStage& stage,
                       bool beside) {
  const Convolution& convolution = convolutions_[stage.number];
  convolution.backward_weight(beside ? beside_->after(execution) : execution, pass.value(stage.input),
                              pass.gradient_of(stage.output), gradient_of(stage.weight, pass.gradient));
  if (!stage.wants_input_gradient) return;
  convolution.backward_data(execution, value(stage.weight, pass.parameters), pass.gradient_of(stage.output),
                            pass.gradient_of(stage.input));
}

void Network::backward(const Execution& execution, const Pass& pass, const LinearStage& stage, bool beside) {
  const LinearLayer& linear = linears_[stage.number];
  const LinearOperands operands = this->operands(pass, stage);
  linear.backward_relu(execution, operands);
  linear.backward_weight(beside ? beside_->after(execution) : execution, operands);
  linear.backward_data(execution, operands);
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
void Network::differentiate_loss(CudaStream stream, float* loss) {
  SoftmaxCrossEntropy<Number> operation;
  operation.batch = static_cast<std::size_t>(blueprint_.batch);
  operation.classes = static_cast<std::size_t>(classes_);
  operation.logits = static_cast<const Number*>(at(blueprint_[blueprint_.logits].value));
  operation.labels = memory().labels();
  operation.gradient = static_cast<Number*>(at(blueprint_[blueprint_.logits].gradient));
  operation.loss = loss;
  operation.losses = static_cast<float*>(at(blueprint_.losses));
  operation.launch(stream);
}

template <typename Number>
void Network::measure_loss(CudaStream stream, int count, float* losses, std::uint8_t* hits) {
  SoftmaxCrossEntropy<Number> operation;
  operation.batch = static_cast<std::size_t>(count);
  operation.classes = static_cast<std::size_t>(classes_);
  operation.logits = static_cast<const Number*>(at(blueprint_[blueprint_.logits].value));
  operation.labels = memory().labels();
  operation.losses = losses;
  operation.hits = hits;
  operation.launch(stream);
}

}  // namespace tardigrad::models::cuda
