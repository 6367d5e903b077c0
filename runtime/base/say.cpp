#include "runtime/base/say.h"

#include <unistd.h>

#include <cstdlib>
#include <ctime>

namespace tardigrad {

std::string zoned_time(std::chrono::system_clock::time_point time) {
  using std::chrono::milliseconds;
  const auto since_epoch = std::chrono::floor<milliseconds>(time.time_since_epoch());
  const auto whole = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const auto seconds = static_cast<std::time_t>(whole.count());
  std::tm local{};
  localtime_r(&seconds, &local);
  const long east_min = local.tm_gmtoff / 60;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}{:02}:{:02}", local.tm_year + 1900,
                     local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec,
                     (since_epoch - whole).count(), east_min < 0 ? '-' : '+', std::abs(east_min) / 60,
                     std::abs(east_min) % 60);
}

void say_line(const std::string& text) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  const std::string time = terminal ? "" : zoned_time(std::chrono::system_clock::now()) + " ";
  say(stderr, "{}{}\n", time, text);
}

}  // namespace tardigrad
