#pragma once

#include <compare>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "runtime/device/device.h"
#include "runtime/device/devices.h"

namespace tardigrad {

/// Says how the server's kernels get at vectors in the memory of another GPU. Both routes order alike and
/// give the same bits.
enum class GradientRoute {
  peer,  ///< they read the gradient where it lies, and write the model straight into the replica
  copy,  ///< the gradient is copied to the server's GPU first, and the model to the replica afterwards
};

/// Names a device of a server, or of a shard of it, and one of workers.
struct ServerAndWorkers {
  Device server;
  Device workers;
  auto operator<=>(const ServerAndWorkers&) const = default;  // NOLINT(modernize-use-nullptr): there is none
};

/// Maps pairs of devices to routes. Vectors are copied where a pair is not in it.
using GradientRoutes = std::map<ServerAndWorkers, GradientRoute>;

/// Returns "peer" or "copy".
std::string name_of(GradientRoute route);

/// Finds out which route is faster for an arrival of a model of d elements: it takes both in turn on idle
/// devices, and compares medians of times between events on the server's stream. It returns copy where there
/// is no peer access. Long vectors are judged by shorter ones: some 150 MB are taken, at most, and given
/// back. Throws DeviceError.
GradientRoute faster_route(Device server, Device workers, std::size_t dimension);

/// Returns the routes between every device of the server and every worker device that is another GPU:
/// `forced`, or else the faster, measured once a process for the same devices and d. Throws
/// std::invalid_argument where `forced` is peer and there is no peer access.
GradientRoutes choose_routes(const Devices& devices, std::size_t dimension,
                             std::optional<GradientRoute> forced);

}  // namespace tardigrad
