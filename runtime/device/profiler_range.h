#pragma once

#include <cstdint>

#include "kernels/operation.h"

#if TARDIGRAD_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace tardigrad {

#if TARDIGRAD_CUDA
namespace detail {
/// Sets NVTX up while there is one thread: it does so at its first use, and threads must not race for that.
inline const bool nvtx_is_set_up = (nvtxInitialize(nullptr), true);
}  // namespace detail
#endif

/// Marks the time from its construction to its destruction on the calling thread as an NVTX range, which
/// Nsight Systems shows. It costs a few nanoseconds when no profiler is attached, nothing in builds without
/// CUDA.
class ProfilerRange {
 public:
#if TARDIGRAD_CUDA
  explicit ProfilerRange(const char* name) { nvtxRangePushA(name); }

  /// Begins a range with a number that the profiler shows beside the name: a worker, a job or a version.
  ProfilerRange(const char* name, std::uint64_t payload) {
    nvtxEventAttributes_t range{};
    range.version = NVTX_VERSION;
    range.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    range.messageType = NVTX_MESSAGE_TYPE_ASCII;
    range.message.ascii = name;
    range.payloadType = NVTX_PAYLOAD_TYPE_UNSIGNED_INT64;
    range.payload.ullValue = payload;
    nvtxRangePushEx(&range);
  }
  ~ProfilerRange() { nvtxRangePop(); }
#else
  explicit ProfilerRange(const char*) {}
  ProfilerRange(const char*, std::uint64_t) {}
#endif
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;
};

/// Gives the calling thread a name that debuggers and profilers show (cut to 15 characters).
void name_this_thread(const char* name);

}  // namespace tardigrad
