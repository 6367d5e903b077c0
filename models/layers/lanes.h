#pragma once

#include <experimental/simd>

namespace tardigrad::models {

/// One vector register of T, for what the compiler does not vectorise by itself: sums it may not reorder.
template <class T>
using Lanes = std::experimental::native_simd<T>;

template <class T>
inline constexpr int lane_count = static_cast<int>(Lanes<T>::size());

template <class T>
Lanes<T> load(const T* from) {
  return Lanes<T>(from, std::experimental::element_aligned);
}

template <class T>
void store(const Lanes<T>& lanes, T* to) {
  lanes.copy_to(to, std::experimental::element_aligned);
}

/// Σ a[i]·b[i].
template <class T>
T dot(int count, const T* a, const T* b) {
  Lanes<T> sums = 0;
  int i = 0;
  for (; i + lane_count<T> <= count; i += lane_count<T>) sums += load(a + i) * load(b + i);
  T sum = reduce(sums);
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace tardigrad::models
