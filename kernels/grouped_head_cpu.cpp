#include <vector>

#include "kernels/grouped_head_math.h"
#include "kernels/softmax_cross_entropy.h"

namespace tardigrad {
namespace {

/// The parts, without their pointers to logits.
GroupedLinear forward_of(const GroupedHead& head) {
  GroupedLinear forward;
  static_cast<GroupOfLinears&>(forward) = head;
  forward.parameters = head.parameters;
  forward.input = head.input;
  return forward;
}

SoftmaxCrossEntropy<float> loss_of(const GroupedHead& head) {
  SoftmaxCrossEntropy<float> loss;
  loss.minibatches = head.jobs;
  loss.batch = head.batch;
  loss.classes = head.outputs;
  loss.labels = head.labels;
  loss.loss = head.losses;
  return loss;
}

GroupedLinearBackward backward_of(const GroupedHead& head) {
  GroupedLinearBackward backward;
  static_cast<GroupOfLinears&>(backward) = head;
  backward.relu_before = head.relu_before;
  backward.parameters = head.parameters;
  backward.gradients = head.gradients;
  backward.input = head.input;
  backward.input_gradient = head.input_gradient;
  return backward;
}

}  // namespace

void GroupedHead::run() const {
  if (is_empty(*this)) return;
  check(*this);
  std::vector<float> logits(jobs * batch * outputs);
  GroupedLinear forward = forward_of(*this);
  forward.output = logits.data();
  forward.run();
  SoftmaxCrossEntropy<float> loss = loss_of(*this);
  loss.logits = loss.gradient = logits.data();
  loss.run();
  GroupedLinearBackward backward = backward_of(*this);
  backward.output_gradient = logits.data();
  backward.run();
}

double GroupedHead::bytes() const {
  const double of_logits = 2.0 * static_cast<double>(jobs * batch * outputs * sizeof(float));
  const double of_inputs = static_cast<double>(jobs * batch * inputs * sizeof(float));
  const double of_losses = static_cast<double>(jobs * (batch * sizeof(std::int32_t) + sizeof(float)));
  return forward_of(*this).bytes() + backward_of(*this).bytes() - of_logits - of_inputs + of_losses;
}

double GroupedHead::flops() const {
  SoftmaxCrossEntropy<float> loss = loss_of(*this);
  float any = 0;
  loss.gradient = &any;
  return forward_of(*this).flops() + loss.flops() + backward_of(*this).flops();
}

}  // namespace tardigrad
