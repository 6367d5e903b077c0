#pragma once

#include <stdexcept>
#include <utility>

#include "runtime/device/stream.h"

namespace tardigrad::cuda {

/// Is an operation (kernels/operation.h) that calls a function with the native stream. Name is a type with
/// the operation's name.
template <typename Name, typename Function>
struct NativeCall {
  static constexpr const char* name = Name::name;

  Function function;

  void run() const { throw std::logic_error("of CUDA streams only"); }
  void launch(CudaStream stream) const { function(stream); }
};

/// Calls function(native stream) at once, the stream's device being current. What it throws is thrown as
/// DeviceError with the name, the stream and the device.
template <typename Name, typename Function>
void call_native(const StreamRef& stream, Function function) {
  stream.enqueue(NativeCall<Name, Function>{std::move(function)});
}

}  // namespace tardigrad::cuda
