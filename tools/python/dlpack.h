#pragma once

#include <cstdint>

/// Declares DLPack's binary interface as far as it is used here, in the project's words.
namespace tardigrad {

inline constexpr std::int32_t dlpack_cuda = 2;   ///< DLDevice.device_type of a GPU's memory
inline constexpr std::uint8_t dlpack_float = 2;  ///< DLDataType.code of IEEE numbers

struct DlpackDevice {
  std::int32_t type = dlpack_cuda;
  std::int32_t index = 0;
};

struct DlpackType {
  std::uint8_t code = dlpack_float;
  std::uint8_t bits = 32;
  std::uint16_t lanes = 1;
};

/// Is a DLTensor.
struct DlpackTensor {
  void* data = nullptr;
  DlpackDevice device;
  std::int32_t dimensions = 0;
  DlpackType type;
  std::int64_t* shape = nullptr;
  std::int64_t* strides = nullptr;  ///< in elements
  std::uint64_t byte_offset = 0;
};

/// Is a DLManagedTensor, as versions before 1 have it.
struct DlpackManaged {
  static constexpr const char* capsule = "dltensor";  ///< of one that nobody has consumed

  DlpackTensor tensor;
  void* context = nullptr;
  void (*deleter)(DlpackManaged*) = nullptr;
};

/// Is a DLManagedTensorVersioned.
struct DlpackVersioned {
  static constexpr const char* capsule = "dltensor_versioned";
  static constexpr std::uint64_t read_only = 1;  ///< among the flags

  std::uint32_t major = 1;
  std::uint32_t minor = 0;
  void* context = nullptr;
  void (*deleter)(DlpackVersioned*) = nullptr;
  std::uint64_t flags = 0;
  DlpackTensor tensor;
};

}  // namespace tardigrad
