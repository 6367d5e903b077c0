#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <type_traits>
#include <vector>

namespace tardigrad::emulation {

/// Puts a kernel into the stream of `config`, or says with CUDA's status why it cannot. `pointers` are those
/// arguments of the kernel that are pointers: what they point to must be null or memory that the stream's
/// device may access, else the kernel fails as an illegal access would.
cudaError_t launch(const cudaLaunchConfig_t& config, std::vector<const volatile void*> pointers,
                   std::function<void()> kernel);

template <typename Parameter>
void append_pointer([[maybe_unused]] std::vector<const volatile void*>& pointers,
                    [[maybe_unused]] const Parameter& parameter) {
  if constexpr (std::is_pointer_v<Parameter>) pointers.push_back(parameter);
}

template <typename... Parameters>
cudaError_t launch(const cudaLaunchConfig_t& config, void (*kernel)(Parameters...), Parameters... arguments) {
  std::vector<const volatile void*> pointers;
  (append_pointer(pointers, arguments), ...);
  return launch(config, std::move(pointers), [=] { kernel(arguments...); });
}

}  // namespace tardigrad::emulation
