#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "models/cuda/layers/handles.h"

namespace tardigrad::models::cuda {

/// Is the attribute type of cuDNN's for a C++ type.
template <typename Value>
inline constexpr cudnnBackendAttributeType_t attribute_type = [] {
  static_assert(std::is_void_v<Value>, "no attribute type is named for this");
  return CUDNN_TYPE_VOID_PTR;
}();
template <>
inline constexpr auto attribute_type<std::int64_t> = CUDNN_TYPE_INT64;
template <>
inline constexpr auto attribute_type<float> = CUDNN_TYPE_FLOAT;
template <>
inline constexpr auto attribute_type<void*> = CUDNN_TYPE_VOID_PTR;
template <>
inline constexpr auto attribute_type<cudnnHandle_t> = CUDNN_TYPE_HANDLE;
template <>
inline constexpr auto attribute_type<cudnnDataType_t> = CUDNN_TYPE_DATA_TYPE;
template <>
inline constexpr auto attribute_type<cudnnConvolutionMode_t> = CUDNN_TYPE_CONVOLUTION_MODE;
template <>
inline constexpr auto attribute_type<cudnnBackendHeurMode_t> = CUDNN_TYPE_HEUR_MODE;
template <>
inline constexpr auto attribute_type<cudnnBackendKnobType_t> = CUDNN_TYPE_KNOB_TYPE;
template <>
inline constexpr auto attribute_type<cudnnBackendNumericalNote_t> = CUDNN_TYPE_NUMERICAL_NOTE;
template <>
inline constexpr auto attribute_type<cudnnBackendBehaviorNote_t> = CUDNN_TYPE_BEHAVIOR_NOTE;

/// Owns a descriptor of cuDNN's graph interface (its documentation calls that the backend interface). A
/// finalised descriptor keeps what it was given, so that may go. Functions throw DeviceError where cuDNN
/// refuses.
class BackendDescriptor {
 public:
  BackendDescriptor(Device device, cudnnBackendDescriptorType_t type) : device_(device) {
    TARDIGRAD_CUDA_CHECK(cudnnBackendCreateDescriptor(type, descriptor_.receive()), device_);
  }

  cudnnBackendDescriptor_t get() const { return descriptor_.get(); }

  template <typename Value>
  void set(cudnnBackendAttributeName_t name, std::span<const Value> values) {
    set(name, attribute_type<Value>, values.size(), values.data());
  }
  template <typename Value>
  requires(std::is_scalar_v<Value>) void set(cudnnBackendAttributeName_t name, Value value) {
    set(name, attribute_type<Value>, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const BackendDescriptor& other) {
    const cudnnBackendDescriptor_t descriptor = other.get();
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &descriptor);
  }
  void set(cudnnBackendAttributeName_t name, const std::vector<BackendDescriptor>& others) {
    std::vector<cudnnBackendDescriptor_t> descriptors(others.size());
    std::ranges::transform(others, descriptors.begin(), &BackendDescriptor::get);
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, descriptors.size(), descriptors.data());
  }

  void finalize() { TARDIGRAD_CUDA_CHECK(cudnnBackendFinalize(get()), device_); }

  template <typename Value>
  Value value(cudnnBackendAttributeName_t name) const {
    Value value{};
    read(name, attribute_type<Value>, 1, &value);
    return value;
  }

  /// Returns the first `most` values of an attribute, or all if there are fewer.
  template <typename Value>
  std::vector<Value> values(cudnnBackendAttributeName_t name, std::size_t most) const {
    std::vector<Value> values(most);
    values.resize(read(name, attribute_type<Value>, most, values.data()));
    return values;
  }

  /// Returns the first `most` descriptors, of that type, of an attribute.
  std::vector<BackendDescriptor> descriptors(cudnnBackendAttributeName_t name,
                                             cudnnBackendDescriptorType_t type, std::size_t most) const {
    std::vector<BackendDescriptor> others;
    std::vector<cudnnBackendDescriptor_t> places;
    for (std::size_t i = 0; i < most; ++i) places.push_back(others.emplace_back(device_, type).get());
    const std::size_t count = read(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, places.data());
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(count), others.end());
    return others;
  }

 private:
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::size_t count,
           const void* values) {
    TARDIGRAD_CUDA_CHECK(
        cudnnBackendSetAttribute(get(), name, type, static_cast<std::int64_t>(count), values), device_);
  }

  /// How many there are, `most` or fewer.
  std::size_t read(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::size_t most,
                   void* values) const {
    std::int64_t count = 0;
    TARDIGRAD_CUDA_CHECK(
        cudnnBackendGetAttribute(get(), name, type, static_cast<std::int64_t>(most), &count, values),
        device_);
    return std::min(most, static_cast<std::size_t>(count));
  }

  Device device_;
  Owned<cudnnBackendDescriptor_t, cudnnBackendDestroyDescriptor> descriptor_;
};

}  // namespace tardigrad::models::cuda
