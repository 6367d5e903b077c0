#include "runtime/device/collectives.h"

#include <stdexcept>

#include "runtime/device/backend.h"

namespace tardigrad {

std::unique_ptr<Collectives> make_collectives(std::span<const StreamRef> streams) {
  if constexpr (built_with_cuda) {
    if (streams.front().device().backend == Backend::cuda) return cuda::make_collectives(streams);
  }
  throw std::logic_error("NCCL works between GPUs, not on " + streams.front().device().name());
}

}  // namespace tardigrad
