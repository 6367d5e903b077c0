#pragma once

#include <cstddef>
#include <memory>

#include "models/cuda/classification.h"
#include "models/cuda/network.h"

namespace tardigrad::models::cuda {

/// Is the scratch, at most, of the second stream of a network, in bytes: plans that want more use one.
inline constexpr std::size_t most_workspace_beside = std::size_t{32} << 20;

/// Makes a network, ready for use on the stream, by the plan that suits it best: the fastest of all memory
/// formats, each with its fastest algorithms, timed on the device as they will be run, in the precision asked
/// for or in a more exact one where that is no slower; or, where runs are to be deterministic, the first that
/// works, in the precision asked for. Where times decide, the convolutions of the best way by cuDNN's
/// legacy interface are computed by engines of its graph interface if that is faster; first layers are fused
/// (FirstLayers) if that is; and steps that are graphs use two streams where that is worth trying
/// (blueprint_beside) and faster, as measured on a GPU that does nothing else. The choice is made once in the
/// life of the process for each device, architecture, batch size and options, and waits for the stream.
/// Throws DeviceError, with the reason of the last, where no plan works.
std::unique_ptr<Network> make_network(const StreamRef& stream, const Architecture& architecture, int batch,
                                      const NetworkOptions& options);

}  // namespace tardigrad::models::cuda
