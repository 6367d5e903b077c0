#include "models/cuda/blueprint/blueprint_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace tardigrad::models::cuda {
namespace {

constexpr std::size_t memory_alignment = 256;  // bytes; as cudaMalloc gives it

}  // namespace

std::size_t BlueprintMemory::take(std::size_t bytes) {
  const std::size_t begin = bytes_;
  bytes_ = round_up(bytes_ + bytes, memory_alignment);
  return begin;
}

ActivationId BlueprintMemory::add(ImageBatch shape, bool wants_gradient) {
  if (!shape.is_countable()) {
    throw std::invalid_argument(fmt::format(
        "an activation of {} images has {} elements, expected fewer than 2^32 on a GPU, or --device cpu",
        shape.batch, shape.size()));
  }
  const std::size_t value = take(bytes_of(shape));
  plan_.activations.push_back({.shape = shape, .value = value, .wants_gradient = wants_gradient});
  gradient_of_.push_back(add_gradient({bytes_of(shape), in_place_of(value)}));
  return plan_.activations.size() - 1;
}

ActivationId BlueprintMemory::add_view(ActivationId of, ImageBatch shape) {
  Activation view = plan_[of];
  view.shape = shape;
  plan_.activations.push_back(view);
  gradient_of_.push_back(gradient_of_[of]);
  return plan_.activations.size() - 1;
}

ActivationId BlueprintMemory::add_reader(ActivationId of) {
  const ActivationId reader = add_view(of, plan_[of].shape);
  gradient_of_[reader] = add_gradient({bytes_of(plan_[of].shape), std::nullopt});
  return reader;
}

void BlueprintMemory::share_gradient(ActivationId one, ActivationId with) {
  give_gradient(gradient_of_[one], gradient_of_[with]);
}

void BlueprintMemory::place_gradients() {
  for (ActivationId id = 0; id < plan_.activations.size(); ++id) {
    if (!plan_[id].wants_gradient) continue;
    Gradient& gradient = gradients_[gradient_of_[id]];
    if (!gradient.place) gradient.place = take(gradient.bytes);
    plan_.activations[id].gradient = *gradient.place;
  }
}

std::optional<std::size_t> BlueprintMemory::in_place_of(std::size_t value) const {
  if (plan_.way.parameter_gradients == ParameterGradients::beside) return std::nullopt;
  return value;
}

std::size_t BlueprintMemory::add_gradient(const Gradient& gradient) {
  gradients_.push_back(gradient);
  return gradients_.size() - 1;
}

void BlueprintMemory::give_gradient(std::size_t from, std::size_t to) {
  std::ranges::replace(gradient_of_, from, to);
}

}  // namespace tardigrad::models::cuda
