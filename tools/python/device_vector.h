#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>

#include "runtime/device/buffer.h"
#include "tools/python/job_stream.h"

namespace tardigrad {

/// Is a vector of floats in a GPU's memory, as a callback sees it: DLPack and CUDA's array interface show the
/// engine's memory to other libraries, without a copy. What the engine has written is there in the order of
/// the job's stream. The interpreter's lock is held, and the stream outlives it.
class DeviceVector {
 public:
  /// Makes a vector that may be written.
  DeviceVector(const JobStream& stream, BufferRef<float> elements);

  /// Makes one that may be read alone, which only newer versions of DLPack can say.
  DeviceVector(const JobStream& stream, BufferRef<const float> elements);

  std::size_t size() const { return size_; }
  Device device() const { return stream_.device(); }

  /// Tells whether somebody has asked for the memory, without which nobody can have written it.
  bool was_taken() const { return was_taken_; }

  /// Makes the capsule of `__dlpack__`, which keeps `self`, this vector's object. `consumer` is the stream
  /// that the memory is for, as the array API numbers them: it is ordered behind the job's. Throws
  /// py::value_error for a number that is no stream.
  pybind11::capsule dlpack(const pybind11::object& self, std::optional<long long> consumer, bool versioned);

  /// Makes the dict of `__cuda_array_interface__`, version 3.
  pybind11::dict cuda_array_interface();

 private:
  void order(std::optional<long long> consumer) const;

  JobStream stream_;
  float* data_;
  std::size_t size_;
  bool is_read_only_;
  bool was_taken_ = false;
};

/// Adds the class to the module of Python, as DeviceVector.
void add_device_vector(pybind11::module_& module);

}  // namespace tardigrad
