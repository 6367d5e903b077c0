#include "runtime/device/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <thread>

#include "kernels/operation.h"
#include "runtime/base/parse_number.h"
#include "runtime/device/backend.h"

namespace tardigrad {
namespace {

constexpr int max_cpu_devices = 4096;

/// The first `count` devices of a backend.
std::vector<Device> first_devices(Backend backend, int count) {
  std::vector<Device> devices(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) devices[static_cast<std::size_t>(i)] = {backend, i};
  return devices;
}

std::string no_gpu(const std::string& flag, const std::string& value) {
  return fmt::format("{} {}: no GPU: {}", flag, value, why_no_cuda());
}

std::vector<Device> parse_cuda_list(const std::string& value, std::string_view list) {
  const int present = cuda_device_count();
  if (present == 0) throw std::invalid_argument(no_gpu("--device", value));
  std::vector<Device> devices;
  for (const std::string_view part : split(list, ',')) {
    const std::optional<int> index = parse_number<int>(part);
    if (!index || *index < 0 || *index >= present) {
      throw std::invalid_argument(
          fmt::format("--device {}: no such GPU; expected indices from 0 to {}, separated by commas", value,
                      present - 1));
    }
    const Device device{Backend::cuda, *index};
    if (std::find(devices.begin(), devices.end(), device) != devices.end()) {
      throw std::invalid_argument(fmt::format("--device {}: GPU {} is named twice", value, *index));
    }
    devices.push_back(device);
  }
  return devices;
}

}  // namespace

std::string Device::name() const {
  return fmt::format("{}:{}", backend == Backend::cpu ? "cpu" : "cuda", index);
}

int default_cpu_devices() { return std::max(1U, std::thread::hardware_concurrency()); }

int cuda_device_count() {
  if constexpr (built_with_cuda) return cuda::device_count();
  return 0;
}

std::string why_no_cuda() {
  if constexpr (built_with_cuda) return cuda::why_no_device();
  return "this build was configured without CUDA";
}

std::string cuda_library_versions() {
  if constexpr (built_with_cuda) return cuda::library_versions();
  return "";
}

std::vector<DeviceDescription> describe_devices() {
  std::vector<DeviceDescription> descriptions;
  for (const Device device : first_devices(Backend::cuda, cuda_device_count())) {
    if constexpr (built_with_cuda) descriptions.push_back(cuda::describe(device));
  }
  descriptions.push_back(cpu::describe({Backend::cpu, 0}));
  return descriptions;
}

std::vector<Device> parse_devices(const std::string& value) {
  const std::string_view text = value;
  if (text == "auto") {
    const int gpus = cuda_device_count();
    return gpus > 0 ? first_devices(Backend::cuda, gpus) : first_devices(Backend::cpu, default_cpu_devices());
  }
  if (text == "cpu") return first_devices(Backend::cpu, default_cpu_devices());
  if (text.starts_with("cpu:")) {
    const std::optional<int> count = parse_number<int>(text.substr(4));
    if (!count || *count < 1 || *count > max_cpu_devices) {
      throw std::invalid_argument(
          fmt::format("--device {}: expected a number of CPU devices from 1 to {}", value, max_cpu_devices));
    }
    return first_devices(Backend::cpu, *count);
  }
  if (text == "cuda") {
    const int gpus = cuda_device_count();
    if (gpus == 0) throw std::invalid_argument(no_gpu("--device", value));
    return first_devices(Backend::cuda, gpus);
  }
  if (text.starts_with("cuda:")) return parse_cuda_list(value, text.substr(5));
  throw std::invalid_argument(
      fmt::format("--device {}: unknown; expected auto, cpu, cpu:K, cuda or cuda:0,1,…", value));
}

Device parse_device(const std::string& flag, const std::string& value) {
  const std::string_view text = value;
  const auto index_after = [&](std::string_view prefix) {
    return parse_number<int>(text.substr(prefix.size()));
  };
  if (text == "cpu") return {};
  if (text.starts_with("cpu:")) {
    if (const auto index = index_after("cpu:"); index && *index >= 0) return {Backend::cpu, *index};
  }
  if (text.starts_with("cuda:")) {
    const int present = cuda_device_count();
    if (present == 0) throw std::invalid_argument(no_gpu(flag, value));
    const auto index = index_after("cuda:");
    if (index && *index >= 0 && *index < present) return {Backend::cuda, *index};
    throw std::invalid_argument(
        fmt::format("{} {}: no such GPU; expected cuda:I with I from 0 to {}", flag, value, present - 1));
  }
  throw std::invalid_argument(
      fmt::format("{} {}: unknown; expected one device: cpu, cpu:I or cuda:I", flag, value));
}

std::string bus_address(Device device) {
  if constexpr (built_with_cuda) {
    if (device.backend == Backend::cuda) return cuda::bus_address(device);
  }
  return device.name();
}

bool peer_access(Device from, Device to) {
  if (from.backend != to.backend) return false;
  if constexpr (built_with_cuda) {
    if (from.backend == Backend::cuda && from != to) return cuda::peer_access(from, to);
  }
  return true;
}

std::size_t free_memory(Device device) {
  if constexpr (built_with_cuda) {
    if (device.backend == Backend::cuda) return cuda::free_memory(device);
  }
  return cpu::free_memory();
}

}  // namespace tardigrad
