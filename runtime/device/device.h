#pragma once

#include <compare>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace tardigrad {

enum class Backend { cpu, cuda };

/// A place where streams run and buffers live. A CPU device is a share of the host: there may be any number
/// of them, each with streams of its own, all with the same memory. A CUDA device is a GPU by its CUDA index.
struct Device {
  Backend backend = Backend::cpu;
  int index = 0;

  auto operator<=>(const Device&) const = default;  // NOLINT(modernize-use-nullptr): there is none

  /// "cpu:0", "cuda:1".
  std::string name() const;
};

/// A device, or work enqueued on one, failed; the message names the device and the operation. The program
/// exits with 3.
class DeviceError : public std::runtime_error {
 public:
  DeviceError(Device device, const std::string& message) : std::runtime_error(message), device_(device) {}
  Device device() const { return device_; }

 private:
  Device device_;
};

/// What `tardigrad devices` shows.
struct DeviceDescription {
  Device device;
  std::string model;  ///< processor or GPU name, with what else identifies it
  std::size_t memory_bytes = 0;
};

/// The number of CPU devices taken when none is given: one per hardware thread this process may use.
int default_cpu_devices();

/// The GPUs CUDA shows; any error of the driver means none. 0 in builds without CUDA.
int cuda_device_count();

/// Why cuda_device_count() is 0, in the words of the driver; empty if it is not.
std::string why_no_cuda();

/// Versions of the CUDA libraries ("CUDA 13.0, cuBLAS …"), that of cuBLAS as of the build; empty without
/// CUDA.
std::string cuda_library_versions();

std::vector<DeviceDescription> describe_devices();

/// The devices a `--device` value stands for: "auto" (every GPU, else the CPU), "cpu" or "cpu:K" (K CPU
/// devices), "cuda" (every GPU) or "cuda:0,2". Throws std::invalid_argument naming the value, what was
/// expected, and, for a device that is not there, what is.
std::vector<Device> parse_devices(const std::string& value);

/// The one device that the value of `flag` names: "cpu", "cpu:I" or "cuda:I", as Device::name() writes it.
/// Throws std::invalid_argument like parse_devices().
Device parse_device(const std::string& flag, const std::string& value);

/// Whether kernels of one device can use memory of the other, of the same backend, as their own.
bool peer_access(Device from, Device to);

/// Bytes that can still be had on a device: of a CPU, memory that is available without swapping. Throws
/// DeviceError.
std::size_t free_memory(Device device);

}  // namespace tardigrad
