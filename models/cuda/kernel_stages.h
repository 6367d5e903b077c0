#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/operation.h"
#include "models/cuda/blueprint/blueprint.h"

namespace tardigrad::models::cuda {

/// Holds what the stages of one pass of a network work on.
struct Pass {
  CudaStream stream = nullptr;
  const Blueprint& blueprint;
  std::byte* memory = nullptr;        ///< Of the network.
  const float* parameters = nullptr;  ///< Flat, like the gradient.
  float* gradient = nullptr;
  bool drops = false;  ///< Whether dropout has masks.

  void* at(std::size_t offset) const { return memory + offset; }
  void* value(ActivationId id) const { return at(blueprint[id].value); }
  void* gradient_of(ActivationId id) const { return at(blueprint[id].gradient); }
};

/// Enqueues a stage.
void forward(const Pass& pass, const KernelStage& stage);

/// Enqueues its way back, where the gradient with respect to its output is wanted.
void backward(const Pass& pass, const KernelStage& stage);

}  // namespace tardigrad::models::cuda
