#include "tools/outputs/speed_advice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

namespace tardigrad {
namespace {

/// What the workers of a device did together.
struct DeviceSpeed {
  std::string device;
  int workers = 0;
  double images_per_s = 0;
};

/// Whole numbers in the proportions of `weights` whose sum is about `total`, each at least 1.
std::vector<int> share_out(double total, const std::vector<double>& weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<int> shares;
  shares.reserve(weights.size());
  for (const double weight : weights) {
    shares.push_back(std::max(1, static_cast<int>(std::lround(total * weight / sum))));
  }
  return shares;
}

/// In the order in which the workers come to them.
std::vector<DeviceSpeed> speeds_of_devices(std::span<const WorkerRecord> workers,
                                           const std::vector<double>& images_per_s) {
  std::vector<DeviceSpeed> devices;
  for (std::size_t i = 0; i < workers.size(); ++i) {
    auto found = std::ranges::find(devices, workers[i].device, &DeviceSpeed::device);
    if (found == devices.end()) found = devices.insert(found, {workers[i].device});
    ++found->workers;
    found->images_per_s += images_per_s[i];
  }
  return devices;
}

std::optional<std::string> advice_on_sizes(const data::BatchSizes& sizes, const std::vector<double>& speeds) {
  constexpr std::size_t most_listed = 16;
  if (speeds.size() > most_listed) return std::nullopt;
  std::vector<int> now;
  for (std::size_t i = 0; i < speeds.size(); ++i) {
    now.push_back(static_cast<int>(sizes.of(static_cast<int>(i))));
  }
  const std::vector<int> better = share_out(std::accumulate(now.begin(), now.end(), 0.0), speeds);
  if (better == now) return std::nullopt;
  return fmt::format("--batch-size {}", fmt::join(better, ","));
}

/// The slowest device keeps at least one worker, so there may have to be more of them in all.
std::optional<std::string> advice_on_devices(const std::vector<DeviceSpeed>& devices) {
  if (devices.size() < 2) return std::nullopt;
  std::vector<double> speeds;
  std::vector<int> now;
  std::vector<std::string> names;
  for (const DeviceSpeed& device : devices) {
    speeds.push_back(device.images_per_s);
    now.push_back(device.workers);
    names.push_back(device.device);
  }
  const double needed = std::accumulate(speeds.begin(), speeds.end(), 0.0) / std::ranges::min(speeds);
  const std::vector<int> better =
      share_out(std::max(needed, std::accumulate(now.begin(), now.end(), 0.0)), speeds);
  if (better == now) return std::nullopt;
  return fmt::format("--workers-per-device {} on {}", fmt::join(better, ","), fmt::join(names, ","));
}

}  // namespace

std::optional<std::string> speed_advice(std::span<const WorkerRecord> workers,
                                        const data::BatchSizes& batch_sizes) {
  constexpr std::uint64_t fewest_jobs = 10;
  constexpr double even_enough = 1.5;
  if (workers.empty()) return std::nullopt;
  std::vector<double> images_per_s;
  for (const WorkerRecord& worker : workers) {
    if (worker.jobs < fewest_jobs || !(worker.mean_compute_time > 0)) return std::nullopt;
    images_per_s.push_back(static_cast<double>(batch_sizes.of(worker.worker)) / worker.mean_compute_time);
  }
  const auto fastest = std::ranges::min_element(workers, {}, &WorkerRecord::mean_compute_time);
  const auto slowest = std::ranges::max_element(workers, {}, &WorkerRecord::mean_compute_time);
  if (slowest->mean_compute_time < even_enough * fastest->mean_compute_time) return std::nullopt;
  std::vector<std::string> ways;
  if (auto sizes = advice_on_sizes(batch_sizes, images_per_s)) ways.push_back(std::move(*sizes));
  if (auto spread = advice_on_devices(speeds_of_devices(workers, images_per_s))) {
    ways.push_back(std::move(*spread));
  }
  if (ways.empty()) return std::nullopt;
  return fmt::format("worker {} takes {:.1f} times as long as worker {}; about as long as each other: {}",
                     slowest->worker, slowest->mean_compute_time / fastest->mean_compute_time,
                     fastest->worker, fmt::join(ways, ", or "));
}

}  // namespace tardigrad
