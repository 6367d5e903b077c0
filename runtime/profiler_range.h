#pragma once

#include "kernels/operation.h"

#if TARDIGRAD_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace tardigrad {

/// Marks the time from its construction to its destruction on the calling thread as an NVTX range, which
/// Nsight Systems shows; costs a few nanoseconds when no profiler is attached, nothing in builds without
/// CUDA.
class ProfilerRange {
 public:
#if TARDIGRAD_CUDA
  explicit ProfilerRange(const char* name) { nvtxRangePushA(name); }
  ~ProfilerRange() { nvtxRangePop(); }
#else
  explicit ProfilerRange(const char*) {}
#endif
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;
};

/// Gives the calling thread a name that debuggers and profilers show (cut to 15 characters).
void name_this_thread(const char* name);

}  // namespace tardigrad
