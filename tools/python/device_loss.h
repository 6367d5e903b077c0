#pragma once

#include <pybind11/pybind11.h>

#include "tools/python/callback_name.h"
#include "tools/python/job_stream.h"

namespace tardigrad {

/// Puts the loss that a callback returned for the job into `loss`, which the stream's device can write. A
/// number is there at once; one float32 in the device's memory, which DLPack shows, is copied on the stream,
/// and nothing waits. The interpreter's lock is held. Throws py::type_error, DeviceError, and what the
/// object's `__dlpack__` raises.
void take_loss(const pybind11::object& given, const JobStream& stream, float* loss, const CallbackName& name);

}  // namespace tardigrad
