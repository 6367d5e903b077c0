#include "tools/interrupt.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <ctime>

namespace tardigrad {
namespace {

sigset_t watched_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

void watch(const std::stop_token& ended, std::stop_source& interrupted) {
  const sigset_t signals = watched_signals();
  constexpr timespec patience{0, 100'000'000};  // between looks at `ended`
  while (!ended.stop_requested()) {
    if (sigtimedwait(&signals, nullptr, &patience) < 0) continue;
    if (!interrupted.request_stop()) _Exit(130);
    fputs("\ninterrupted: ending the run; once more to quit at once\n", stderr);
  }
}

}  // namespace

InterruptWatch::InterruptWatch() {
  const sigset_t signals = watched_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  watcher_ = std::jthread([this](const std::stop_token& ended) { watch(ended, interrupted_); });
}

}  // namespace tardigrad
