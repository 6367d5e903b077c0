#pragma once

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace tardigrad {

/// Reports that a thread cannot be had. what() is a line that says for what, and names the limits that may be
/// the reason.
class ThreadError : public std::runtime_error {
 public:
  ThreadError(const std::string& what, const std::system_error& error);
};

/// Says how many threads may be had, for people: "all programs of this user may have 64 (ulimit -u), the
/// control group no limit (pids.max)".
std::string describe_thread_limits();

/// Starts a thread. `what` says what it is for, as "worker 3". Throws ThreadError.
template <typename Work>
std::jthread start_thread(const std::string& what, Work&& work) {
  try {
    return std::jthread(std::forward<Work>(work));
  } catch (const std::system_error& error) {
    throw ThreadError(what, error);
  }
}

/// Starts up to `count` threads that do work(0), work(1), …, for a caller who works with them and can do
/// without any. Where not all are to be had it says so on stderr, once for each `what`.
std::vector<std::jthread> start_helpers(const std::string& what, std::size_t count,
                                        const std::function<void(std::size_t helper)>& work);

/// Calls work(thread, i) for every i below `count` from up to `threads` threads, of which the caller's is
/// thread 0; each takes the next i that is left, and comes to its end with what it has begun. Nothing more is
/// begun where `stop` says so, or where one throws, which is then thrown to the caller. Returns whether all
/// is done. `what` is as for start_helpers().
bool share_out(
    const std::string& what, std::size_t count, std::size_t threads,
    const std::function<void(std::size_t thread, std::size_t i)>& work,
    const std::function<bool()>& stop = [] { return false; });

}  // namespace tardigrad
