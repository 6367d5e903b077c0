#pragma once

#include <cuda_runtime_api.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/cuda_emulation/number_formats.h"

namespace tardigrad::emulation {

inline void expect_cuda(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(status));
}

/// Numbers of a format in the memory of the current device, for tests.
class DeviceArray {
 public:
  DeviceArray(Format format, const std::vector<float>& values) : format_(format), size_(values.size()) {
    expect_cuda(cudaMalloc(&data_, bytes() + 16));
    std::vector<std::byte> raw(bytes());
    for (std::size_t i = 0; i < size_; ++i) store(format_, raw.data(), i, values[i]);
    expect_cuda(cudaMemcpy(data_, raw.data(), raw.size(), cudaMemcpyDefault));
    expect_cuda(cudaDeviceSynchronize());
  }
  explicit DeviceArray(std::size_t bytes_in_all)
      : DeviceArray(Format::fp32, std::vector<float>(bytes_in_all / 4)) {}
  ~DeviceArray() { static_cast<void>(cudaFree(data_)); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  std::vector<float> values() const {
    std::vector<std::byte> raw(bytes());
    expect_cuda(cudaMemcpy(raw.data(), data_, raw.size(), cudaMemcpyDefault));
    std::vector<float> result(size_);
    for (std::size_t i = 0; i < size_; ++i) result[i] = load(format_, raw.data(), i);
    return result;
  }
  void* data() const { return data_; }
  std::size_t bytes() const { return size_ * bytes_of(format_); }

 private:
  Format format_;
  std::size_t size_;
  void* data_ = nullptr;
};

class Stream {
 public:
  Stream() { expect_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~Stream() { static_cast<void>(cudaStreamDestroy(stream_)); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void synchronize() const { expect_cuda(cudaStreamSynchronize(stream_)); }
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// Multiples of 1/4 from -1 to 1: sums of their products are exact in fp32 in every order, and so are they in
/// TF32.
inline std::vector<float> small_numbers(std::size_t size, unsigned seed) {
  std::minstd_rand random(seed);
  std::vector<float> values(size);
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 9) - 4) / 4;
  return values;
}

/// Numbers in [-1, 1) with all their bits, whose sums depend on the order.
inline std::vector<float> full_numbers(std::size_t size, unsigned seed) {
  std::minstd_rand random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(size);
  for (float& value : values) value = uniform(random);
  return values;
}

/// What is left of `value` when it is stored in `format`.
inline float stored(Format format, float value) {
  float raw = 0;
  store(format, &raw, 0, value);
  return load(format, &raw, 0);
}

inline std::vector<std::uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<std::uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<std::uint32_t>(value));
  return bits;
}

}  // namespace tardigrad::emulation
