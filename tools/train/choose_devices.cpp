// Where a run takes place.

#include <fmt/format.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/parse_number.h"
#include "runtime/base/say.h"
#include "tools/train/run_setup.h"

namespace tardigrad {
namespace {

[[noreturn]] void refuse_devices(const std::string& message) { throw std::invalid_argument(message); }

/// The counts of --workers-per-device, one for each device.
std::vector<int> counts_per_device(const TrainOptions& options, std::size_t devices) {
  constexpr int most = 1'000'000;
  const auto counts = parse_whole_numbers(options.workers_per_device, 1, most);
  if (counts && counts->size() == devices) return *counts;
  refuse_devices(
      fmt::format("--workers-per-device {}: expected a whole number, 1 or more, for each of the {} devices",
                  options.workers_per_device, devices));
}

/// On the backend of the workers.
Devices place(const TrainOptions& options, std::vector<Device> workers) {
  if (options.sync_over == SyncOver::nccl) {
    if (workers.front().backend == Backend::cpu) {
      refuse_devices(fmt::format(
          "--sync-over nccl: works between GPUs, and the workers are on {}; expected --device cuda",
          workers.front().name()));
    }
    if (!options.server_device.empty()) {
      refuse_devices(
          "--server-device has no use with --sync-over nccl: every GPU of a worker keeps the model");
    }
  }
  if (options.server_device.empty()) return workers;
  const Device server = parse_device("--server-device", options.server_device);
  if (server.backend != workers.front().backend) {
    refuse_devices(fmt::format("--server-device {}: the workers are on {}; expected a device of that kind",
                               options.server_device, workers.front().name()));
  }
  return {std::move(workers), server};
}

/// Of workers that make the server's updates by themselves.
void require_one_device(const Devices& devices) {
  const std::optional<Device> apart = devices.apart_from_server();
  if (!apart) return;
  refuse_devices(
      fmt::format("--hand-over device: a worker is on {}, the server on {}; expected one GPU for all",
                  apart->name(), devices.server.name()));
}

}  // namespace

Devices choose_devices(const TrainOptions& options) {
  std::vector<Device> devices = parse_devices(options.device);
  const bool on_cpu = devices.front().backend == Backend::cpu;
  if (on_cpu && options.precision != models::Precision::fp32) {
    refuse_devices(fmt::format("--precision {}: the run would be on the CPU, which computes in fp32",
                               models::name_of(options.precision)));
  }
  if (options.device == "auto" && built_with_cuda && on_cpu) {
    say_line("running on the CPU (no GPU: {})", why_no_cuda());
  }
  const bool spread = !options.workers_per_device.empty();
  if (on_cpu && spread && options.clock == ClockKind::virtual_time) {
    refuse_devices(
        "--workers-per-device has no use in virtual time on CPUs, whose threads compute for any of the "
        "workers");
  }
  Devices placed = place(options, std::move(devices));
  if (spread) placed.spread(counts_per_device(options, placed.workers.size()));
  if (options.hand_over_on_device.value_or(false) && options.replay.empty()) require_one_device(placed);
  return placed;
}

}  // namespace tardigrad
