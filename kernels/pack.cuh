#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/launch.cuh"

/// Accesses memory by more than one number at once.

namespace tardigrad {

/// Holds `width` neighbouring numbers, which a thread loads or stores by one instruction: 16 bytes at most.
template <typename Number, int width>
struct alignas(width * sizeof(Number)) Pack {
  Number lane[width];
};

/// Holds numbers in the widest access there is, 128 bits.
template <typename Number>
inline constexpr int full_width = 16 / static_cast<int>(sizeof(Number));

/// Tells whether packs may begin here; null may.
template <int width, typename Number>
TARDIGRAD_HOST_DEVICE bool is_aligned(const Number* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignof(Pack<Number, width>) == 0;
}

/// Returns the pack that begins at `from`.
template <int width, typename Number>
__device__ Pack<Number, width> load(const Number* from) {
  return *reinterpret_cast<const Pack<Number, width>*>(from);
}

template <int width, typename Number>
__device__ void store(Number* to, const Pack<Number, width>& pack) {
  *reinterpret_cast<Pack<Number, width>*>(to) = pack;
}

/// Is CUDA's name for a pack.
template <typename Number, int width>
struct Word;
template <>
struct Word<float, 1> {
  using Type = float;
};
template <>
struct Word<float, 4> {
  using Type = float4;
};
template <>
struct Word<Bf16, 1> {
  using Type = unsigned short;
};
template <>
struct Word<Bf16, 4> {
  using Type = ushort4;
};

/// Does the same for what is not soon used again: caches give it up first.
template <int width, typename Number>
__device__ Pack<Number, width> load_streaming(const Number* from) {
  using Type = typename Word<Number, width>::Type;
  return std::bit_cast<Pack<Number, width>>(__ldcs(reinterpret_cast<const Type*>(from)));
}

template <int width, typename Number>
__device__ void store_streaming(Number* to, const Pack<Number, width>& pack) {
  using Type = typename Word<Number, width>::Type;
  __stcs(reinterpret_cast<Type*>(to), std::bit_cast<Type>(pack));
}

}  // namespace tardigrad
