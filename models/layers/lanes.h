#pragma once

#include <experimental/simd>

namespace tardigrad::models {

/// Is one vector register of T, for what the compiler does not vectorise by itself: sums it may not reorder.
template <typename T>
using Lanes = std::experimental::native_simd<T>;

template <typename T>
inline constexpr int lane_count = static_cast<int>(Lanes<T>::size());

template <typename T>
Lanes<T> load(const T* from) {
  return Lanes<T>(from, std::experimental::element_aligned);
}

template <typename T>
void store(const Lanes<T>& lanes, T* to) {
  lanes.copy_to(to, std::experimental::element_aligned);
}

/// Keeps the lanes in a register from here on. g++ would rather load a value again for each of its uses, as
/// part of the multiply-add, and then a loop that uses each several times waits for its loads.
template <typename T>
[[gnu::always_inline]] inline Lanes<T> in_register(const Lanes<T>& lanes) {
#if defined(__x86_64__)
  using Register [[gnu::vector_size(sizeof(Lanes<T>))]] = T;
  auto value = static_cast<Register>(lanes);
  asm("" : "+v"(value));
  return Lanes<T>(value);
#else
  return lanes;
#endif
}

/// Asks for a cache line that is wanted soon, to be read or written: into the second-level cache, which can
/// wait for more of them at once than the first.
template <typename T>
void fetch(const T* line) {
  __builtin_prefetch(line, 0, 2);
}

/// Returns Σ a[i]·b[i].
template <typename T>
T dot(int count, const T* a, const T* b) {
  Lanes<T> sums = 0;
  int i = 0;
  for (; i + lane_count<T> <= count; i += lane_count<T>) sums += load(a + i) * load(b + i);
  T sum = reduce(sums);
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace tardigrad::models
