#pragma once

#include <cstddef>

namespace tardigrad {

/// Returns a kernel over the elements from `begin` on, `size` of them, of what it does to vectors
/// [dimension]: `vectors` are its members that point to these, each of them null or not.
template <typename Kernel, typename... Vectors>
Kernel part_of(Kernel kernel, std::size_t begin, std::size_t size, Vectors Kernel::*... vectors) {
  kernel.dimension = size;
  ((kernel.*vectors = kernel.*vectors ? kernel.*vectors + begin : nullptr), ...);
  return kernel;
}

}  // namespace tardigrad
