#include "runtime/device/start_times.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>

namespace tardigrad {
namespace {

using Seconds = std::chrono::duration<double>;

thread_local StartPart* innermost = nullptr;

/// Since this process was made, by the system's account: what loading its libraries took counts, too. Known
/// to a tick, a hundredth of a second.
std::optional<Seconds> age_of_process() {
  double uptime_s = 0;
  std::ifstream("/proc/uptime") >> uptime_s;
  std::ifstream stat("/proc/self/stat");
  stat.ignore(std::numeric_limits<std::streamsize>::max(), ')');  // the name, which may hold anything
  constexpr int fields_before_start = 19;
  std::string field;
  for (int i = 0; i < fields_before_start; ++i) stat >> field;
  double start_ticks = 0;
  if (!(stat >> start_ticks) || uptime_s == 0) return std::nullopt;
  return Seconds(std::max(0.0, uptime_s - start_ticks / static_cast<double>(sysconf(_SC_CLK_TCK))));
}

// As static objects are made, just before main().
const StartTimes::Clock::time_point loaded = StartTimes::Clock::now();

}  // namespace

StartTimes& StartTimes::of_process() {
  static StartTimes times;
  return times;
}

void StartTimes::add(const char* part, Clock::duration duration) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  const auto known = std::ranges::find(parts_, std::string_view(part),
                                       [](const auto& one) { return std::string_view(one.first); });
  if (known == parts_.end()) {
    parts_.emplace_back(part, duration);
  } else {
    known->second += duration;
  }
}

std::string StartTimes::end() {
  Seconds other = Clock::now() - loaded;
  const Seconds whole = age_of_process().value_or(other);
  const std::lock_guard lock(mutex_);
  ended_ = true;
  std::string line = fmt::format("starting took {:.2f} s: loading {:.2f}, ", whole.count(),
                                 std::max(0.0, (whole - other).count()));
  for (const auto& [part, duration] : parts_) {
    line += fmt::format("{} {:.2f}, ", part, Seconds(duration).count());
    other -= duration;
  }
  return line + fmt::format("other {:.2f}", std::max(0.0, other.count()));
}

StartPart::StartPart(const char* name) : name_(name), outer_(std::exchange(innermost, this)) {}

StartPart::~StartPart() {
  const auto duration = StartTimes::Clock::now() - begin_;
  innermost = outer_;
  if (outer_) outer_->inner_ += duration;
  StartTimes::of_process().add(name_, duration - inner_);
}

}  // namespace tardigrad
