#include "runtime/device/collectives.h"

#include <stdexcept>

#include "runtime/device/backend.h"

namespace tardigrad {

namespace {

[[noreturn]] void refuse(Device device) {
  throw std::logic_error("NCCL works between GPUs, not on " + device.name());
}

}  // namespace

std::unique_ptr<Collectives> make_collectives(std::span<const StreamRef> streams) {
  if constexpr (built_with_cuda) {
    if (streams.front().device().backend == Backend::cuda) return cuda::make_collectives(streams);
  }
  refuse(streams.front().device());
}

CollectivesId make_collectives_id(Device device) {
  if constexpr (built_with_cuda) {
    if (device.backend == Backend::cuda) return cuda::make_collectives_id(device);
  }
  refuse(device);
}

std::unique_ptr<Collectives> join_collectives(StreamRef stream, const CollectivesId& id, int rank,
                                              int ranks) {
  if constexpr (built_with_cuda) {
    if (stream.device().backend == Backend::cuda) return cuda::join_collectives(stream, id, rank, ranks);
  }
  refuse(stream.device());
}

}  // namespace tardigrad
