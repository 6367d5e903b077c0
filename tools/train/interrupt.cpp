#include "tools/train/interrupt.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "runtime/base/start_thread.h"

namespace tardigrad {
namespace {

bool is_ignored(int signal) {
  struct sigaction action = {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

/// Those that nobody has asked this program to ignore.
sigset_t watched_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    if (!is_ignored(signal)) sigaddset(&signals, signal);
  }
  return signals;
}

/// Blocks the watched signals for this thread and those to come.
int open_signals() {
  const sigset_t signals = watched_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

int checked(int descriptor, const char* what) {
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), what);
  return descriptor;
}

}  // namespace

InterruptWatch::Descriptor::~Descriptor() { close(number_); }

InterruptWatch::InterruptWatch(std::string answer, bool says)
    : answer_(std::move(answer)),
      says_(says),
      signals_(checked(open_signals(), "signals cannot be watched")),
      ended_(checked(eventfd(0, EFD_CLOEXEC), "signals cannot be watched")),
      watcher_(start_thread("the watch on signals", [this] { watch(); })) {}

InterruptWatch::~InterruptWatch() {
  const std::uint64_t one = 1;
  static_cast<void>(!write(ended_.number(), &one, sizeof(one)));
}

std::stop_token InterruptWatch::run() {
  const std::lock_guard lock(mutex_);
  running_ = true;
  return stop_.get_token();
}

void InterruptWatch::watch() {
  pollfd watched[] = {{.fd = signals_.number(), .events = POLLIN, .revents = 0},
                      {.fd = ended_.number(), .events = POLLIN, .revents = 0}};
  while (true) {
    if (poll(watched, std::size(watched), -1) < 0) continue;
    if (watched[1].revents != 0) return;
    signalfd_siginfo received = {};
    if (read(signals_.number(), &received, sizeof(received)) == sizeof(received)) {
      take(static_cast<int>(received.ssi_signo));
    }
  }
}

/// Never waits, neither for a reader of stderr nor for a thread that does: whoever sends a signal wants it to
/// have an effect.
void InterruptWatch::tell(int signal, const std::string& text) const {
  if (!says_) return;
  const std::string line = fmt::format("\nSIG{}: {}\n", sigabbrev_np(signal), text);
  pollfd target{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&target, 1, 0) > 0 && (target.revents & POLLOUT) != 0) {
    static_cast<void>(!write(STDERR_FILENO, line.data(), line.size()));
  }
}

void InterruptWatch::take(int signal) {
  if (signal == SIGUSR1) {
    tell(signal, answer_);
    return checkpoint_request_.ask();
  }
  const std::lock_guard lock(mutex_);
  if (!running_ || signal_ != 0) {
    tell(signal, "ended at once");
    end_program(exit_code_of(signal));
  }
  signal_ = signal;
  tell(signal, "the run ends and saves what it has; once more to quit at once");
  stop_.request_stop();
}

void end_program(int exit_code) {
  if (exit_code == exit_code_of(SIGINT)) {
    ::signal(SIGINT, SIG_DFL);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    raise(SIGINT);  // no effect on the first process of a container
  }
  _Exit(exit_code);
}

}  // namespace tardigrad
