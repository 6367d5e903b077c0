#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/operation.h"
#include "models/cuda/blueprint/blueprint.h"

namespace tardigrad::models::cuda {

/// Holds what the stages of one pass of a network work on.
struct Pass : LaidOutMemory {
  CudaStream stream = nullptr;
  const float* parameters = nullptr;  ///< Flat, like the gradient.
  float* gradient = nullptr;
  bool drops = false;  ///< Whether dropout has masks.
};

/// Enqueues a stage.
void forward(const Pass& pass, const KernelStage& stage);

/// Enqueues its way back, where the gradient with respect to its output is wanted. Gradients of parameters
/// are left in parts.
void backward(const Pass& pass, const KernelStage& stage);

/// Enqueues what adds the parts, once all stages have left theirs.
void add_parts(const Pass& pass);

}  // namespace tardigrad::models::cuda
