#pragma once

#include <cmath>
#include <type_traits>

#include "kernels/operation.h"

namespace tardigrad {

/// Returns a·b + c, rounded once where the target multiplies and adds in one instruction: always on a GPU, on
/// a CPU by what the compiler was told about it. A CPU without that instruction rounds twice, for std::fma
/// would be a slow library call there. `Value` is float, or a vector register of floats
/// (server_update_cpu.cpp has x86's; elsewhere the compiler is left to contract the expression).
template <typename Value>
TARDIGRAD_HOST_DEVICE Value multiply_add(float a, Value b, Value c) {
#if defined(__CUDA_ARCH__) || defined(FP_FAST_FMAF)
  if constexpr (std::is_same_v<Value, float>) return fmaf(a, b, c);
#endif
  return a * b + c;
}

}  // namespace tardigrad
