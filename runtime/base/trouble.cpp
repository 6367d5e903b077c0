#include "runtime/base/trouble.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "runtime/base/say.h"

namespace tardigrad {

Trouble::Trouble(std::string what, RetryBackoff patience)
    : what_(std::move(what)), pause_(patience.first), longest_(patience.longest) {}

void Trouble::found(const std::string& why) {
  if (!there_) tell(why + "; the run goes on, and tries again");
  there_ = true;
  next_try_ = Clock::now() + pause_;
  pause_ = std::min(2 * pause_, longest_);
}

void Trouble::over(const std::string& outcome) {
  if (!there_) return;
  there_ = false;
  tell(outcome);
}

void Trouble::tell(const std::string& text) const {
  const char* clear_line = isatty(STDERR_FILENO) != 0 ? "\r\033[K" : "";  // that of Progress
  say_line("{}tardigrad: {}: {}", clear_line, what_, text);
}

}  // namespace tardigrad
