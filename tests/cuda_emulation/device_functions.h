#pragma once

#include <vector_types.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tests/cuda_emulation/block.h"

// CUDA's built-in variables and functions, under CUDA's names and in CUDA's place, the global namespace.

inline constinit thread_local uint3 threadIdx{};
inline constinit thread_local uint3 blockIdx{};
inline constinit thread_local dim3 blockDim{};
inline constinit thread_local dim3 gridDim{};
inline constexpr int warpSize = tardigrad::emulation::lanes_per_warp;

inline void __syncthreads() { tardigrad::emulation::block_barrier(); }
inline int __syncthreads_count(int predicate) {
  return static_cast<int>(tardigrad::emulation::block_barrier(predicate != 0));
}
inline int __syncthreads_or(int predicate) { return __syncthreads_count(predicate) > 0; }
inline int __syncthreads_and(int predicate) { return __syncthreads_count(predicate == 0) == 0; }
inline void __syncwarp(unsigned mask = ~0U) { tardigrad::emulation::warp_gather(mask, 0); }
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void __threadfence_block() { __threadfence(); }
inline void __threadfence_system() { __threadfence(); }
inline void __nanosleep(unsigned nanoseconds) { tardigrad::emulation::nanosleep(nanoseconds); }
inline long long clock64() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// Warp functions.

namespace tardigrad::emulation {

/// The value of `source_lane`, or of the calling lane if that is not in its segment of `width` lanes.
template <typename Value>
Value shuffle(unsigned mask, Value value, unsigned source_lane, int width) {
  static_assert(std::is_trivially_copyable_v<Value> && sizeof(Value) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(Value));
  const std::uint64_t* given = warp_gather(mask, bits);
  const auto segment = static_cast<unsigned>(width);
  if (source_lane / segment == lane() / segment) std::memcpy(&value, &given[source_lane], sizeof(Value));
  return value;
}

}  // namespace tardigrad::emulation

template <typename Value>
Value __shfl_sync(unsigned mask, Value value, int source, int width = warpSize) {
  const unsigned first =
      tardigrad::emulation::lane() / static_cast<unsigned>(width) * static_cast<unsigned>(width);
  const unsigned lane = first + static_cast<unsigned>(source) % static_cast<unsigned>(width);
  return tardigrad::emulation::shuffle(mask, value, lane, width);
}
template <typename Value>
Value __shfl_down_sync(unsigned mask, Value value, unsigned delta, int width = warpSize) {
  return tardigrad::emulation::shuffle(mask, value, tardigrad::emulation::lane() + delta, width);
}
template <typename Value>
Value __shfl_up_sync(unsigned mask, Value value, unsigned delta, int width = warpSize) {
  return tardigrad::emulation::shuffle(mask, value, tardigrad::emulation::lane() - delta, width);
}
template <typename Value>
Value __shfl_xor_sync(unsigned mask, Value value, int lanes, int width = warpSize) {
  return tardigrad::emulation::shuffle(mask, value,
                                       tardigrad::emulation::lane() ^ static_cast<unsigned>(lanes), width);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const std::uint64_t* given = tardigrad::emulation::warp_gather(mask, predicate != 0);
  unsigned votes = 0;
  for (unsigned lane = 0; lane < tardigrad::emulation::lanes_per_warp; ++lane) {
    if ((mask >> lane & 1U) != 0 && given[lane] == 1) votes |= 1U << lane;
  }
  return votes;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate == 0) == 0; }

// Atomic functions: kernels of other streams run meanwhile, in other system threads.

template <typename Number>
Number atomicAdd(Number* address, std::type_identity_t<Number> value) {
  return std::atomic_ref<Number>(*address).fetch_add(value, std::memory_order_relaxed);
}
template <typename Number>
Number atomicSub(Number* address, std::type_identity_t<Number> value) {
  return std::atomic_ref<Number>(*address).fetch_sub(value, std::memory_order_relaxed);
}
template <typename Number>
Number atomicExch(Number* address, std::type_identity_t<Number> value) {
  return std::atomic_ref<Number>(*address).exchange(value, std::memory_order_relaxed);
}
template <typename Number>
Number atomicCAS(Number* address, std::type_identity_t<Number> expected, std::type_identity_t<Number> value) {
  std::atomic_ref<Number>(*address).compare_exchange_strong(expected, value, std::memory_order_relaxed);
  return expected;
}
template <typename Number>
Number atomicMax(Number* address, std::type_identity_t<Number> value) {
  const std::atomic_ref<Number> number(*address);
  Number old = number.load(std::memory_order_relaxed);
  while (old < value && !number.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
  }
  return old;
}
template <typename Number>
Number atomicMin(Number* address, std::type_identity_t<Number> value) {
  const std::atomic_ref<Number> number(*address);
  Number old = number.load(std::memory_order_relaxed);
  while (value < old && !number.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
  }
  return old;
}
/// CUDA's wraps to 0 beyond `limit`.
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  const std::atomic_ref<unsigned> number(*address);
  unsigned old = number.load(std::memory_order_relaxed);
  while (!number.compare_exchange_weak(old, old >= limit ? 0 : old + 1, std::memory_order_relaxed)) {
  }
  return old;
}

// Loads and stores with a hint for the caches, of which an emulation has none to give.

template <typename Value>
Value __ldg(const Value* from) {
  return *from;
}
template <typename Value>
Value __ldcs(const Value* from) {
  return *from;
}
template <typename Value>
Value __ldcg(const Value* from) {
  return *from;
}
template <typename Value>
Value __ldca(const Value* from) {
  return *from;
}
template <typename Value>
Value __ldlu(const Value* from) {
  return *from;
}
template <typename Value>
Value __ldcv(const Value* from) {
  return *from;
}
template <typename Value>
void __stcs(Value* to, Value value) {
  *to = value;
}
template <typename Value>
void __stcg(Value* to, Value value) {
  *to = value;
}
template <typename Value>
void __stwb(Value* to, Value value) {
  *to = value;
}
template <typename Value>
void __stwt(Value* to, Value value) {
  *to = value;
}
