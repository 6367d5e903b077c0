#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/operation.h"

namespace tardigrad {

/// Is a number in the format bf16, the upper half of a float: its sign, its exponent and seven bits of its
/// fraction.
struct Bf16 {
  std::uint16_t bits;
};

/// Returns the value itself, which every float and every bf16 has exactly as a float.
TARDIGRAD_HOST_DEVICE inline float widen(float value) { return value; }
TARDIGRAD_HOST_DEVICE inline float widen(Bf16 value) {
  return std::bit_cast<float>(std::uint32_t{value.bits} << 16);
}

/// Names the unsigned integers of the shape of `Value`: a float, or a vector register of floats
/// (server_update_cpu.cpp).
template <typename Value>
struct BitsOf;
template <>
struct BitsOf<float> {
  using Type = std::uint32_t;
};

/// Returns the number nearest to `value` that bf16 has, still as a float: the even one of two that are
/// equally near, infinity from half a step beyond the largest, NaN for NaN.
template <typename Value>
TARDIGRAD_HOST_DEVICE Value round_to_bf16(Value value) {
  using Bits = typename BitsOf<Value>::Type;
  constexpr std::uint32_t upper_half = 0xFFFF0000U;
  constexpr std::uint32_t quiet = 0x00400000U;  // in the upper half, so that a NaN does not become infinite
  const Bits bits = std::bit_cast<Bits>(value);
  // Carries into the upper half from more than half its last bit on; from exactly half, if that bit is odd.
  const Bits rounded = bits + 0x7FFFU + (bits >> 16 & 1U);
  return std::bit_cast<Value>((value == value ? rounded : bits | quiet) & upper_half);
}

/// Returns the bf16 of a float that is one.
TARDIGRAD_HOST_DEVICE inline Bf16 narrow(float value) {
  return {static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16)};
}

/// Returns the Number, float or Bf16, that is nearest to a float.
template <typename Number>
TARDIGRAD_HOST_DEVICE Number nearest(float value) {
  if constexpr (std::is_same_v<Number, Bf16>) {
    return narrow(round_to_bf16(value));
  } else {
    return value;
  }
}

}  // namespace tardigrad
