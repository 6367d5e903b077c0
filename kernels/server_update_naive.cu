#include "kernels/server_update_naive.h"

#include "kernels/launch.cuh"
#include "kernels/server_update_naive_passes.h"

namespace tardigrad {
namespace {

constexpr const char* operation = "server_update_naive";

__global__ void subtract_kernel(std::size_t dimension, float* __restrict__ to, const float* __restrict__ a,
                                const float* __restrict__ b) {
  for (std::size_t i = grid_first(); i < dimension; i += grid_stride()) to[i] = a[i] - b[i];
}

__global__ void scale_kernel(std::size_t dimension, float* __restrict__ to, float a,
                             const float* __restrict__ from) {
  for (std::size_t i = grid_first(); i < dimension; i += grid_stride()) to[i] = a * from[i];
}

__global__ void axpy_kernel(std::size_t dimension, float* __restrict__ to, float a,
                            const float* __restrict__ from) {
  for (std::size_t i = grid_first(); i < dimension; i += grid_stride()) {
    to[i] = multiply_add(a, from[i], to[i]);
  }
}

struct CudaPasses {
  std::size_t dimension;
  CudaStream stream;

  void copy(float* to, const float* from) const {
    check_cuda(cudaMemcpyAsync(to, from, dimension * sizeof(float), cudaMemcpyDeviceToDevice, stream),
               operation, "cudaMemcpyAsync");
  }
  void subtract(float* to, const float* a, const float* b) const {
    launch_kernel(operation, subtract_kernel, grid_for(dimension), stream, dimension, to, a, b);
  }
  void scale(float* to, float a, const float* from) const {
    launch_kernel(operation, scale_kernel, grid_for(dimension), stream, dimension, to, a, from);
  }
  void axpy(float* to, float a, const float* from) const {
    launch_kernel(operation, axpy_kernel, grid_for(dimension), stream, dimension, to, a, from);
  }
};

}  // namespace

void launch_naive(const ServerUpdate& update, float* scratch, CudaStream stream) {
  if (update.dimension == 0) return;
  check(update);
  naive_update(update, scratch, CudaPasses{update.dimension, stream});
}

}  // namespace tardigrad
