#include "kernels/repack_tensors.h"

#include <cstddef>
#include <cstdint>

#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/repack_tensors_math.h"

namespace tardigrad {
namespace {

constexpr int plain_width = 4;
constexpr std::size_t plain_chunk = plain_width * std::size_t{threads_per_block};

/// Floats of a chunk that pass through shared memory: a pair of each thread with the taps of a 3×3 kernel.
constexpr unsigned staged_size = threads_per_block * 9;
static_assert(staged_size >= RepackedTensors::max_taps);

/// The (output, input) pairs of a chunk: one for each thread, or fewer where they have so many taps.
__host__ __device__ unsigned pairs_of_a_chunk(const RepackedTensor& tensor) {
  constexpr unsigned threads = threads_per_block;
  return min(threads, staged_size / tensor.taps);
}

/// The tensors cut into chunks, one for a block at a time: of plain_chunk elements where both forms are the
/// same, else of (output, input) pairs, with all taps of each.
struct Chunks {
  RepackedTensors all;
  std::size_t first[RepackedTensors::max_count + 1];  ///< chunk of each tensor, and how many there are

  explicit Chunks(const RepackedTensors& tensors) : all(tensors), first{} {
    for (std::size_t i = 0; i < all.count; ++i) {
      const RepackedTensor& tensor = all.tensors[i];
      const std::size_t items = is_plain(tensor) ? tensor.flat_size() : tensor.flat_size() / tensor.taps;
      const std::size_t size = is_plain(tensor) ? plain_chunk : pairs_of_a_chunk(tensor);
      first[i + 1] = first[i] + (items + size - 1) / size;
    }
  }

  __host__ __device__ std::size_t size() const { return first[all.count]; }

  /// The tensor that a chunk below size() belongs to.
  __device__ std::size_t owner(std::size_t chunk) const {
    std::size_t i = 0;
    while (chunk >= first[i + 1]) ++i;
    return i;
  }
};

/// Moves the elements of a plain chunk from `begin` on, up to `size` of the tensor.
template <typename To, typename From>
__device__ void convert_chunk(std::size_t begin, std::size_t size, const From* __restrict__ from,
                              To* __restrict__ to) {
  if (begin + plain_chunk <= size && is_aligned<plain_width>(from) && is_aligned<plain_width>(to)) {
    const std::size_t i = begin + plain_width * std::size_t{threadIdx.x};
    const auto values = load<plain_width>(from + i);
    Pack<To, plain_width> converted;
#pragma unroll
    for (int lane = 0; lane < plain_width; ++lane) {
      converted.lane[lane] = nearest<To>(widen(values.lane[lane]));
    }
    store(to + i, converted);
    return;
  }
  for (std::size_t i = begin + threadIdx.x; i < min(begin + plain_chunk, size); i += threads_per_block) {
    to[i] = nearest<To>(widen(from[i]));
  }
}

/// The (output, input) pairs of a chunk that is not plain. Their elements of the flat vector are one
/// contiguous range, which passes through shared memory, so that accesses to both forms are coalesced.
struct Pairs {
  std::size_t flat_begin;  ///< of the range
  unsigned count;          ///< pairs
  unsigned input;          ///< of the thread's pair
  std::size_t working;     ///< where the working copy has its first tap

  __device__ Pairs(const RepackedTensor& tensor, std::size_t chunk) {
    const unsigned most = pairs_of_a_chunk(tensor);
    const std::size_t begin = chunk * most;
    const std::size_t left = std::size_t{tensor.outputs} * tensor.inputs - begin;
    const auto pair = static_cast<unsigned>(begin) + threadIdx.x;
    flat_begin = tensor.flat_offset + begin * tensor.taps;
    count = left < most ? static_cast<unsigned>(left) : most;
    input = pair % tensor.inputs;
    working = working_place(tensor, pair / tensor.inputs, input);
  }
};

template <typename Number>
__device__ void pack_pairs(const RepackedTensor& tensor, std::size_t chunk, const float* __restrict__ flat,
                           Number* __restrict__ working, float* staged) {
  const Pairs pairs(tensor, chunk);
  for (unsigned i = threadIdx.x; i < pairs.count * tensor.taps; i += threads_per_block) {
    staged[i] = flat[pairs.flat_begin + i];
  }
  __syncthreads();
  if (threadIdx.x < pairs.count) {
    Number* to = working + pairs.working;
    const unsigned padding = pairs.input + 1 == tensor.inputs ? tensor.padded_inputs - tensor.inputs : 0;
    for (unsigned tap = 0; tap < tensor.taps; ++tap, to += tensor.padded_inputs) {
      *to = nearest<Number>(staged[threadIdx.x * tensor.taps + tap]);
      for (unsigned i = 1; i <= padding; ++i) to[i] = Number{};
    }
  }
  __syncthreads();  // before the next chunk is staged
}

template <typename Number>
__device__ void unpack_pairs(const RepackedTensor& tensor, std::size_t chunk,
                             const Number* __restrict__ working, float* __restrict__ flat, float* staged) {
  const Pairs pairs(tensor, chunk);
  if (threadIdx.x < pairs.count) {
    const Number* from = working + pairs.working;
    for (unsigned tap = 0; tap < tensor.taps; ++tap, from += tensor.padded_inputs) {
      staged[threadIdx.x * tensor.taps + tap] = widen(*from);
    }
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < pairs.count * tensor.taps; i += threads_per_block) {
    flat[pairs.flat_begin + i] = staged[i];
  }
  __syncthreads();  // before the next chunk is staged
}

template <typename Number>
__global__ void __launch_bounds__(threads_per_block)
    pack_kernel(Chunks chunks, const float* __restrict__ flat, Number* __restrict__ working) {
  __shared__ float staged[staged_size];
  for (std::size_t chunk = blockIdx.x; chunk < chunks.size(); chunk += gridDim.x) {
    const std::size_t owner = chunks.owner(chunk);
    const RepackedTensor& tensor = chunks.all.tensors[owner];
    const std::size_t own_chunk = chunk - chunks.first[owner];
    if (is_plain(tensor)) {
      convert_chunk(own_chunk * plain_chunk, tensor.flat_size(), flat + tensor.flat_offset,
                    working + tensor.working_offset);
    } else {
      pack_pairs(tensor, own_chunk, flat, working, staged);
    }
  }
}

template <typename Number>
__global__ void __launch_bounds__(threads_per_block)
    unpack_kernel(Chunks chunks, const Number* __restrict__ working, float* __restrict__ flat) {
  __shared__ float staged[staged_size];
  for (std::size_t chunk = blockIdx.x; chunk < chunks.size(); chunk += gridDim.x) {
    const std::size_t owner = chunks.owner(chunk);
    const RepackedTensor& tensor = chunks.all.tensors[owner];
    const std::size_t own_chunk = chunk - chunks.first[owner];
    if (is_plain(tensor)) {
      convert_chunk(own_chunk * plain_chunk, tensor.flat_size(), working + tensor.working_offset,
                    flat + tensor.flat_offset);
    } else {
      unpack_pairs(tensor, own_chunk, working, flat, staged);
    }
  }
}

}  // namespace

template <typename Number>
void PackParameters<Number>::launch(CudaStream stream) const {
  if (tensors.count == 0) return;
  check(*this);
  const Chunks chunks(tensors);
  if (chunks.size() > 0) {
    launch_kernel(name, pack_kernel<Number>, {chunks.size()}, stream, chunks, flat, working);
  }
}

template <typename Number>
void UnpackGradients<Number>::launch(CudaStream stream) const {
  if (tensors.count == 0) return;
  check(*this);
  const Chunks chunks(tensors);
  if (chunks.size() > 0) {
    launch_kernel(name, unpack_kernel<Number>, {chunks.size()}, stream, chunks, working, flat);
  }
}

template void PackParameters<float>::launch(CudaStream) const;
template void PackParameters<Bf16>::launch(CudaStream) const;
template void UnpackGradients<float>::launch(CudaStream) const;
template void UnpackGradients<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
