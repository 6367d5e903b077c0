#pragma once

#include "kernels/server_update.h"

namespace tardigrad {

/// Makes the same update in separate passes over memory, as a chain of library calls would do it: subtract,
/// axpy, copy, axpy, copy (60 bytes a parameter for all of DuDe with a hand-over, against 32). It is the
/// reference of the tests and the rival of the benchmark: every pass by itself is vectorised, and the copies
/// are the library's.
///
/// `scratch` [dimension] holds g − T, overlaps nothing, and is needed by a fold only. Errors are as for
/// ServerUpdate, and std::logic_error for a row in bf16, Mean::average and corrections, which these passes do
/// not know. Results are ServerUpdate's up to rounding: under Fold::average the mean moves by w·a·(g − T)
/// here.
void run_naive(const ServerUpdate& update, float* scratch);

/// Makes the same passes as CUDA kernels. It is defined only in builds with CUDA.
void launch_naive(const ServerUpdate& update, float* scratch, CudaStream stream);

}  // namespace tardigrad
