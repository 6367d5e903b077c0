#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace tardigrad {

/// Reports that something that methods or the runtime promise does not hold: a bug of this program. what() is
/// one line: after which update, at what of which worker, what was promised, and the numbers that are against
/// it.
class VerificationError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Counts what is checked, and throws where it does not hold.
class Checks {
 public:
  /// Says what is being checked by all that follows.
  void begin(std::uint64_t update, const char* what, int worker) {
    update_ = update;
    what_ = what;
    worker_ = worker;
  }

  template <typename... Args>
  void require(bool holds, fmt::format_string<Args...> text, Args&&... args) {
    ++made_;
    if (!holds) fail(fmt::format(text, std::forward<Args>(args)...));
  }

  std::uint64_t made() const { return made_; }
  void set_made(std::uint64_t made) { made_ = made; }  ///< in an earlier process, too

 private:
  [[noreturn]] void fail(const std::string& text) const {
    throw VerificationError(
        fmt::format("verification failed after update {}, at the {} {}: {}", update_, what_, worker_, text));
  }

  std::uint64_t made_ = 0;
  std::uint64_t update_ = 0;
  const char* what_ = "start, workers";
  int worker_ = 0;
};

}  // namespace tardigrad
