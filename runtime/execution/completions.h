#pragma once

#include <string>
#include <vector>

#include "runtime/device/device.h"

namespace tardigrad {

/// How the host learns, in wall time, that a worker's gradient is complete.
enum class Completions {
  polling,   ///< the coordinator asks the workers' completion events, in turn; takes a processor
  callback,  ///< each worker's stream calls a host function
};

/// "polling", "callback".
std::string completions_name(Completions completions);

/// Measures turnarounds on one device, as a worker among `workers` has them: from the end of an operation
/// until the operation begins that the host enqueues behind it once it has learned of that end. In seconds,
/// on the device's clock; `rounds` of them, in ascending order. Throws DeviceError.
std::vector<double> measure_turnarounds(Device device, Completions completions, int workers, int rounds);

/// Which of the two has the shorter median turnaround on that device, measured in turn; takes some
/// milliseconds. On a CPU always `callback`: its streams have threads that can call, and polling would take a
/// processor from them.
Completions faster_completions(Device device, int workers);

}  // namespace tardigrad
