#include "kernels/empty_kernel.h"

#include "kernels/launch.cuh"

namespace tardigrad {
namespace {

__global__ void empty_kernel() {}

}  // namespace

void EmptyKernel::launch(CudaStream stream) const { launch_kernel(name, empty_kernel, {1, 1}, stream); }

}  // namespace tardigrad
