#include "models/cuda/perceptron_group.h"

#include <algorithm>
#include <stdexcept>
#include <variant>

#include "kernels/grouped_head.h"
#include "kernels/softmax_cross_entropy.h"

namespace tardigrad::models::cuda {
namespace {

/// Whether layers are what PerceptronGroup says. Features come flat already where the images have one pixel.
bool are_perceptron(const std::vector<LayerSpec>& layers) {
  bool after_linear = false;
  bool any = false;
  for (const LayerSpec& layer : layers) {
    if (std::holds_alternative<Flatten>(layer) && !any) continue;
    const bool is_linear = std::holds_alternative<Linear>(layer);
    if (is_linear == after_linear || (!is_linear && !std::holds_alternative<Relu>(layer))) return false;
    after_linear = is_linear;
    any = true;
  }
  return after_linear;
}

Blueprint blueprint_of(const Architecture& architecture, std::size_t batch) {
  return make_blueprint(architecture, static_cast<int>(GroupOfLinears::most_jobs * batch), {});
}

}  // namespace

bool PerceptronGroup::takes(const Architecture& architecture, std::size_t batch) {
  return batch <= GroupOfLinears::most_batch && architecture.layout().dimension() <= most_parameters &&
         are_perceptron(architecture.layers());
}

std::size_t PerceptronGroup::bytes(const Architecture& architecture, std::size_t batch) {
  return blueprint_of(architecture, batch).bytes;
}

PerceptronGroup::PerceptronGroup(const StreamRef& stream, const Architecture& architecture, std::size_t batch)
    : batch_(batch),
      classes_(static_cast<std::size_t>(architecture.classes())),
      blueprint_(blueprint_of(architecture, batch)),
      layers_(blueprint_.all<LinearStage>()),
      memory_(stream, blueprint_.bytes) {
  if (!takes(architecture, batch)) throw std::logic_error("this network is no perceptron, or too large");
}

template <typename Operation>
Operation PerceptronGroup::layer(const LinearStage& stage, std::span<const Job> jobs) {
  Operation operation;
  operation.jobs = jobs.size();
  operation.batch = batch_;
  operation.inputs = static_cast<std::size_t>(stage.linear.inputs);
  operation.outputs = static_cast<std::size_t>(stage.linear.outputs);
  operation.weight = stage.weight.flat;
  operation.bias = stage.bias.flat;
  operation.input = value(stage.input);
  std::ranges::transform(jobs, operation.parameters.begin(), &Job::parameters);
  return operation;
}

void PerceptronGroup::forward(CudaStream stream, const LinearStage& stage, std::span<const Job> jobs) {
  auto operation = layer<GroupedLinear>(stage, jobs);
  operation.relu = stage.relu;
  operation.output = value(stage.output);
  operation.launch(stream);
}

/// What is before a layer other than the first has a ReLU, so that its gradient has a place of its own.
template <typename Operation>
Operation PerceptronGroup::backward_of(const LinearStage& stage, std::span<const Job> jobs) {
  auto operation = layer<Operation>(stage, jobs);
  std::ranges::transform(jobs, operation.gradients.begin(), &Job::gradient);
  if (stage.wants_input_gradient) {
    operation.relu_before = true;
    operation.input_gradient = gradient_of(stage.input);
  }
  return operation;
}

void PerceptronGroup::backward(CudaStream stream, const LinearStage& stage, std::span<const Job> jobs) {
  auto operation = backward_of<GroupedLinearBackward>(stage, jobs);
  operation.output_gradient = gradient_of(stage.output);
  operation.launch(stream);
}

/// The last layer and the loss.
void PerceptronGroup::compute_head(CudaStream stream, std::span<const Job> jobs, float* losses) {
  const LinearStage& last = layers_.back();
  if (!GroupedHead::takes(static_cast<std::size_t>(last.linear.inputs), classes_)) {
    forward(stream, last, jobs);
    differentiate_loss(stream, jobs, losses);
    backward(stream, last, jobs);
    return;
  }
  auto head = backward_of<GroupedHead>(last, jobs);
  head.labels = memory().labels();
  head.losses = losses;
  head.launch(stream);
}

void PerceptronGroup::gradients(CudaStream stream, std::span<const Job> jobs, float* losses) {
  const std::span hidden(layers_.data(), layers_.size() - 1);
  for (const LinearStage& stage : hidden) forward(stream, stage, jobs);
  compute_head(stream, jobs, losses);
  for (std::size_t i = hidden.size(); i-- > 0;) backward(stream, hidden[i], jobs);
}

void PerceptronGroup::differentiate_loss(CudaStream stream, std::span<const Job> jobs, float* losses) {
  SoftmaxCrossEntropy<float> loss;
  loss.minibatches = jobs.size();
  loss.batch = batch_;
  loss.classes = classes_;
  loss.logits = value(blueprint_.logits);
  loss.labels = memory().labels();
  loss.gradient = gradient_of(blueprint_.logits);
  loss.loss = losses;
  loss.launch(stream);
}

}  // namespace tardigrad::models::cuda
