#pragma once

#include <compare>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace tardigrad {

enum class Backend { cpu, cuda };

/// Names a place where streams run and buffers live. A CPU device is a share of the host: there may be any
/// number of them, each with streams of its own, all with the same memory. A CUDA device is a GPU by its CUDA
/// index.
struct Device {
  Backend backend = Backend::cpu;
  int index = 0;

  auto operator<=>(const Device&) const = default;  // NOLINT(modernize-use-nullptr): there is none

  /// Returns the name as options and messages write it: "cpu:0", "cuda:1".
  std::string name() const;
};

/// Reports that a device, or work enqueued on one, failed. The message names the device and the operation.
/// The program exits with 3.
class DeviceError : public std::runtime_error {
 public:
  DeviceError(Device device, const std::string& message) : std::runtime_error(message), device_(device) {}
  Device device() const { return device_; }

 private:
  Device device_;
};

/// Holds what `tardigrad devices` shows of a device.
struct DeviceDescription {
  Device device;
  std::string model;  ///< processor or GPU name, with what else identifies it
  std::size_t memory_bytes = 0;
  /// Hold what a GPU could do at its highest clocks: single-precision operations (a multiplication and an
  /// addition are two), and bytes from and to its memory. They are 0 where that is not known.
  double fp32_per_s = 0;
  double bytes_per_s = 0;
};

/// Returns the number of CPU devices taken when none is given: one per hardware thread this process may use.
int default_cpu_devices();

/// Returns the number of GPUs that CUDA shows. Any error of the driver means none; builds without CUDA have
/// none.
int cuda_device_count();

/// Says why cuda_device_count() is 0, in the words of the driver. The text is empty if it is not 0.
std::string why_no_cuda();

/// Returns the versions of the CUDA libraries ("CUDA 13.0, cuBLAS …"), that of cuBLAS as of the build. The
/// text is empty without CUDA.
std::string cuda_library_versions();

std::vector<DeviceDescription> describe_devices();

/// Returns the devices a `--device` value stands for: "auto" (every GPU, else the CPU), "cpu" or "cpu:K" (K
/// CPU devices), "cuda" (every GPU) or "cuda:0,2". Throws std::invalid_argument naming the value, what was
/// expected, and, for a device that is not there, what is.
std::vector<Device> parse_devices(const std::string& value);

/// Returns the one device that the value of `flag` names: "cpu", "cpu:I" or "cuda:I", as Device::name()
/// writes it. Throws std::invalid_argument like parse_devices().
Device parse_device(const std::string& flag, const std::string& value);

/// Returns the address of a GPU on its machine's PCI bus, which is the same for all processes there, whatever
/// index each has for it; of a CPU device its name. Throws DeviceError.
std::string bus_address(Device device);

/// Tells whether kernels of one device can use memory of the other, of the same backend, as their own.
bool peer_access(Device from, Device to);

/// Returns the bytes that can still be had on a device; of a CPU, the memory that is available without
/// swapping. Throws DeviceError.
std::size_t free_memory(Device device);

}  // namespace tardigrad
