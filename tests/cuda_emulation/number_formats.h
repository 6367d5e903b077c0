#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"

namespace tardigrad::emulation {

/// How numbers lie in the memory that the emulated libraries are given. All of them compute in fp32.
enum class Format { fp32, bf16 };

constexpr std::size_t bytes_of(Format format) { return format == Format::fp32 ? 4 : 2; }

inline float load(Format format, const void* data, std::size_t index) {
  return format == Format::fp32 ? static_cast<const float*>(data)[index]
                                : widen(static_cast<const Bf16*>(data)[index]);
}

inline void store(Format format, void* data, std::size_t index, float value) {
  if (format == Format::fp32) {
    static_cast<float*>(data)[index] = value;
  } else {
    static_cast<Bf16*>(data)[index] = narrow(round_to_bf16(value));
  }
}

/// The nearest number with ten bits of fraction, ties away from zero: what tensor cores are given of a float
/// in TF32 (the instruction cvt.rna.tf32.f32). Infinity and NaN stay.
inline float round_to_tf32(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7F800000U) == 0x7F800000U) return value;
  return std::bit_cast<float>((bits + 0x1000U) & 0xFFFFE000U);
}

}  // namespace tardigrad::emulation
