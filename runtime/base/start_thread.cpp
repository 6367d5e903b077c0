#include "runtime/base/start_thread.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <set>

#include "runtime/base/parse_number.h"
#include "runtime/base/say.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;

/// What a file with one number holds; nothing where it says "max", or is not there.
std::optional<std::uint64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return parse_number<std::uint64_t>(text);
}

/// The folder of this process's control group, by a line of /proc/self/cgroup: "0::/group", or in version 1
/// "7:pids:/group".
std::optional<fs::path> pids_folder(const std::string& line) {
  const std::size_t first = line.find(':');
  const std::size_t second = line.find(':', std::min(line.size(), first + 1));
  if (second == std::string::npos) return std::nullopt;
  const std::string controllers = line.substr(first + 1, second - first - 1);
  const fs::path group = fs::path(line.substr(second + 1)).relative_path();
  if (controllers.empty()) return "/sys/fs/cgroup" / group;
  return controllers == "pids" ? std::optional(fs::path("/sys/fs/cgroup/pids") / group) : std::nullopt;
}

/// The smallest of the group's and those that it is in.
std::optional<std::uint64_t> smallest_pids_max() {
  std::optional<std::uint64_t> smallest;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto folder = pids_folder(line);
    if (!folder) continue;
    for (fs::path at = *folder; at != "/sys/fs" && at.has_relative_path(); at = at.parent_path()) {
      const auto most = number_in(at / "pids.max");
      if (most && (!smallest || *most < *smallest)) smallest = most;
    }
  }
  return smallest;
}

/// Whether nobody has been told of it so far.
bool is_news(const std::string& what) {
  static std::mutex mutex;
  static std::set<std::string> told;
  const std::lock_guard lock(mutex);
  return told.insert(what).second;
}

}  // namespace

std::string describe_thread_limits() {
  const auto text = [](const std::optional<std::uint64_t>& most) {
    return most ? fmt::format("{}", *most) : std::string("no limit");
  };
  std::optional<std::uint64_t> of_user;
  rlimit processes = {};
  if (getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_cur != RLIM_INFINITY) {
    of_user = processes.rlim_cur;
  }
  return fmt::format("all programs of this user may have {} (ulimit -u), the control group {} (pids.max)",
                     text(of_user), text(smallest_pids_max()));
}

std::vector<std::jthread> start_helpers(const std::string& what, std::size_t count,
                                        const std::function<void(std::size_t helper)>& work) {
  std::vector<std::jthread> helpers;
  helpers.reserve(count);
  try {
    while (helpers.size() < count) {
      helpers.push_back(start_thread(what, [work, index = helpers.size()] { work(index); }));
    }
  } catch (const ThreadError& error) {
    if (is_news(what)) {
      say(stderr, "tardigrad: warning: {}; {} of {} threads do it, with the same results\n", error.what(),
          helpers.size() + 1, count + 1);
    }
  }
  return helpers;
}

bool share_out(const std::string& what, std::size_t count, std::size_t threads,
               const std::function<void(std::size_t thread, std::size_t i)>& work,
               const std::function<bool()>& stop) {
  std::atomic<std::size_t> next = 0;
  std::atomic<std::size_t> done = 0;
  std::mutex mutex;
  std::exception_ptr error;
  const auto take_part = [&](std::size_t thread) {
    try {
      while (!stop()) {
        const std::size_t i = next++;
        if (i >= count) return;
        work(thread, i);
        ++done;
      }
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  };
  {
    const auto helpers = start_helpers(what, std::max<std::size_t>(threads, 1) - 1,
                                       [&](std::size_t helper) { take_part(helper + 1); });
    take_part(0);
  }
  if (error) std::rethrow_exception(error);
  return done == count;
}

ThreadError::ThreadError(const std::string& what, const std::system_error& error)
    : std::runtime_error(fmt::format("no thread can be started for {}: {}; {}", what, error.code().message(),
                                     describe_thread_limits())) {}

}  // namespace tardigrad
