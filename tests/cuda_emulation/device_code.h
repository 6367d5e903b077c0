#pragma once

// What nvcc knows by itself and g++ does not: included ahead of every .cu file of kernels/ in the emulated
// build, so that device code compiles as C++. CUDA's own headers take over a keyword that is a macro already.

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __constant__
#define __grid_constant__
/// One block runs at a time on a system thread, so that its threads share what that thread owns.
#define __shared__ static thread_local

// The toolkit's templates hand a kernel's address and the addresses of its arguments to the library, and a
// library on a GPU knows the rest from the binary. Ours are typed to the end.
#define cudaLaunchKernelEx cudaLaunchKernelEx_of_the_toolkit
#include <cuda_runtime.h>
#undef cudaLaunchKernelEx
#undef __forceinline__
#define __forceinline__ inline

#include "tests/cuda_emulation/device_functions.h"
#include "tests/cuda_emulation/device_math.h"
#include "tests/cuda_emulation/launch.h"

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  return tardigrad::emulation::launch(*config, kernel,
                                      static_cast<Parameters>(std::forward<Arguments>(arguments))...);
}
