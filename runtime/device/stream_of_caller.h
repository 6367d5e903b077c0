#pragma once

#include <string>
#include <utility>

#include "runtime/device/stream.h"

namespace tardigrad {

/// Makes a stream whose work the calling thread does itself on a CPU (Stream::immediate); that of a GPU is an
/// ordinary one.
inline Stream stream_of_caller(Device device, std::string name, Priority priority = Priority::normal) {
  return device.backend == Backend::cpu ? Stream::immediate(device, std::move(name))
                                        : Stream(device, std::move(name), priority);
}

}  // namespace tardigrad
