#include "kernels/server_update.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/server_update_math.h"

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace tardigrad {
namespace {

// The widest vector register of the target. With 64 bytes a store fills a whole cache line, which some
// processors then do not fetch first; compilers left to themselves often stop at 32.
#if defined(__AVX512F__)
constexpr std::size_t register_bytes = 64;
#elif defined(__AVX__)
constexpr std::size_t register_bytes = 32;
#else
constexpr std::size_t register_bytes = 16;
#endif
constexpr std::size_t lanes = register_bytes / sizeof(float);
using Register [[gnu::vector_size(register_bytes)]] = float;
using RegisterBits [[gnu::vector_size(register_bytes)]] = std::uint32_t;
using RegisterHalves [[gnu::vector_size(register_bytes / 2)]] = std::uint16_t;

}  // namespace

template <>
struct BitsOf<Register> {
  using Type = RegisterBits;
};

// Not left to contraction, which some options of a compiler switch off: every element must be rounded like
// the tail.
#if defined(__AVX512F__)
template <>
Register multiply_add(float a, Register b, Register c) {
  return _mm512_fmadd_ps(_mm512_set1_ps(a), b, c);
}
#elif defined(__FMA__)
template <>
Register multiply_add(float a, Register b, Register c) {
  return _mm256_fmadd_ps(_mm256_set1_ps(a), b, c);
}
#endif

namespace {

/// A Value anywhere in an array of Element.
template <typename Value, typename Element>
using InMemory [[gnu::aligned(alignof(Element)), gnu::may_alias]] = Value;

/// From this size of a vector on, the loop is written for vectors that come from memory.
/// The replica is stored around the caches: the server does not read it again, fetching its lines before they
/// are overwritten would add an eighth to the traffic, and keeping them would push out the model and the
/// mean.
constexpr std::size_t large_bytes = std::size_t{128} << 10;

/// The gradient and the row are fetched a page ahead, because the processor's own prefetching stops at every
/// page; but only while the mean and the model can stay in the last cache. (Measured on a 32 MiB cache: 1.3
/// times as fast at d = 620,362, equal at 3.5 million, a tenth slower at 10 million, where memory is busy
/// with all four vectors.)
constexpr std::size_t resident_bytes = std::size_t{24} << 20;
constexpr std::size_t page_floats = 4096 / sizeof(float);

void store_streaming(float* to, Register value) {
#if defined(__AVX512F__)
  _mm512_stream_ps(to, value);
#elif defined(__AVX__)
  _mm256_stream_ps(to, value);
#elif defined(__SSE__)
  _mm_stream_ps(to, value);
#else
  std::memcpy(to, &value, sizeof value);
#endif
}

/// Orders streaming stores before whatever this thread does next; unlike others they are not ordered by
/// themselves.
void finish_streaming() {
#if defined(__SSE__)
  _mm_sfence();
#endif
}

template <typename Value>
void load(Value& value, const float* from) {
  value = *reinterpret_cast<const InMemory<Value, float>*>(from);
}

void load(float& value, const Bf16* from) { value = widen(*from); }

void load(Register& value, const Bf16* from) {
  const RegisterHalves halves = *reinterpret_cast<const InMemory<RegisterHalves, Bf16>*>(from);
  value = std::bit_cast<Register>(__builtin_convertvector(halves, RegisterBits) << 16);
}

template <typename Value>
void store(float* to, Value value) {
  *reinterpret_cast<InMemory<Value, float>*>(to) = value;
}

void store(Bf16* to, float value) { *to = narrow(value); }

void store(Bf16* to, Register value) {
  const RegisterBits bits = std::bit_cast<RegisterBits>(value);
  *reinterpret_cast<InMemory<RegisterHalves, Bf16>*>(to) =
      __builtin_convertvector(bits >> 16, RegisterHalves);
}

/// Hints that a cache line will be needed, into the second-level cache. It stays there: what was a row or a
/// gradient is written soon, as the next gradient. (With a hint that it is read once, which goes by that
/// cache, an update took 1.75 times as long on a Xeon at d = 620,362.)
void prefetch(const void* from) { __builtin_prefetch(from, 0, 2); }

/// Updates the elements from `i` on that one Value holds.
template <typename S, bool streaming, typename Value>
void update_at(std::size_t i, const ServerUpdate& u, const Weights& weights) {
  Element<Value> e{};
  if constexpr (S::reads_gradient) load(e.gradient, u.gradient + i);
  if constexpr (S::reads_row) load(e.row, row_of<S>(u) + i);
  if constexpr (S::reads_mean) load(e.mean, u.mean + i);
  if constexpr (S::reads_corrected) load(e.corrected, u.corrected + i);
  if constexpr (S::reads_kept) load(e.kept, u.kept + i);
  if constexpr (S::reads_model) load(e.model, u.model + i);
  update_element<S>(weights, e);
  if constexpr (S::writes_row) store(row_of<S>(u) + i, e.row);
  if constexpr (S::writes_mean) store(u.mean + i, e.mean);
  if constexpr (S::corrects) store(u.corrected + i, e.corrected);
  if constexpr (S::keeps) store(u.kept + i, e.kept);
  if constexpr (S::writes_model) store(u.model + i, e.model);
  if constexpr (S::hand_over && streaming) store_streaming(u.hand_over + i, e.model);
  if constexpr (S::hand_over && !streaming) store(u.hand_over + i, e.model);
}

/// Updates the elements from `begin` on, up to `end`, and fetches what comes `ahead` of them.
template <typename S, bool large>
void update_range(const ServerUpdate& update, std::size_t begin, std::size_t end, std::size_t ahead) {
  const ServerUpdate u = update;  // a copy that no store can alias, so that the pointers stay in registers
  const Weights weights = weights_of(u);
  std::size_t i = begin;
  for (; i + lanes <= end; i += lanes) {
    if constexpr (large && S::reads_gradient) prefetch(u.gradient + i + ahead);
    if constexpr (large && S::reads_row) prefetch(row_of<S>(u) + i + ahead);
    update_at<S, large, Register>(i, u, weights);
  }
  for (; i < end; ++i) update_at<S, false, float>(i, u, weights);
}

bool is_large(const ServerUpdate& update) {
  // Streaming stores are aligned; runtime's buffers are.
  const bool aligned = reinterpret_cast<std::uintptr_t>(update.hand_over) % register_bytes == 0;
  return aligned && update.dimension * sizeof(float) >= large_bytes;
}

using UpdateRange = void (*)(const ServerUpdate&, std::size_t begin, std::size_t end, std::size_t ahead);

UpdateRange range_of(const ServerUpdate& update) {
  UpdateRange range = nullptr;
  visit_switches(update, [&]<typename S>(S) {
    range = is_large(update) ? update_range<S, true> : update_range<S, false>;
  });
  return range;
}

/// Returns how far ahead to fetch. With nothing ahead the hint is for the line that is loaded next anyway:
/// cheaper than a branch.
std::size_t fetch_ahead(std::size_t dimension, std::size_t distance) {
  return 2 * sizeof(float) * dimension <= resident_bytes ? distance : 0;
}

/// Is how many elements go through all updates of a pass at a time: their mean and model, 8 KB, stay in the
/// first cache.
constexpr std::size_t block_size = 1024;

}  // namespace

void ServerUpdate::run() const {
  if (dimension == 0) return;
  check(*this);
  const UpdateRange update_elements = range_of(*this);
  update_elements(*this, 0, dimension, fetch_ahead(dimension, page_floats));
  if (is_large(*this)) finish_streaming();
}

void ServerUpdates::run() const {
  check();
  run(0, updates.front().dimension);
}

void ServerUpdates::run(std::size_t begin, std::size_t end) const {
  if (count == 0 || begin >= end) return;
  std::array<UpdateRange, most> ranges{};
  std::ranges::transform(all(), ranges.begin(), range_of);
  const std::size_t ahead = fetch_ahead(updates.front().dimension, block_size);
  for (; begin < end; begin += block_size) {
    const std::size_t block_end = std::min(begin + block_size, end);
    for (std::size_t i = 0; i < count; ++i) ranges[i](updates[i], begin, block_end, ahead);
  }
  finish_streaming();
}

}  // namespace tardigrad
