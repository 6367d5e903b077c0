#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "runtime/checkpoint/checkpoint_request.h"
#include "tools/train/run_control.h"

namespace tardigrad {

/// Takes the signals that end a command, for as long as it lives: SIGINT (Ctrl-C), SIGTERM and SIGHUP, each
/// unless it was ignored when the program began, as nohup and the background of shells have it. Until run()
/// is called there is nothing to save, and the first of them ends the program; after that the first one is a
/// stop request, and the second one ends the program. SIGUSR1 asks for a checkpoint. Make it before any other
/// thread, so that they inherit the blocked signals.
class InterruptWatch final : public RunControl {
 public:
  /// `answer`: said of SIGUSR1 on stderr, a line. Nothing is said of any signal where another process `says`
  /// it. Throws ThreadError.
  explicit InterruptWatch(std::string answer, bool says = true);
  ~InterruptWatch() override;

  std::stop_token run() override;

  /// Asked for by SIGUSR1.
  CheckpointRequest& checkpoint_request() override { return checkpoint_request_; }

  /// The signal that requested the stop; 0: none did.
  int signal() const { return signal_; }

 private:
  /// A file descriptor that is closed in the end.
  class Descriptor {
   public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int number() const { return number_; }

   private:
    int number_;
  };

  void watch();
  void take(int signal);
  void tell(int signal, const std::string& text) const;

  std::string answer_;
  bool says_;
  Descriptor signals_;
  Descriptor ended_;  // becomes readable when the watch ends
  std::mutex mutex_;  // of running_: a signal comes either before run() or after it
  bool running_ = false;
  std::atomic<int> signal_ = 0;
  std::stop_source stop_;
  CheckpointRequest checkpoint_request_;
  std::jthread watcher_;  // last: it uses the members above
};

/// What a command that such a signal has stopped ends with: 128 + its number.
constexpr int exit_code_of(int signal) { return 128 + signal; }

/// Ends the program with that exit code, at once and without what comes at its end elsewhere; output is
/// flushed by the caller. With that of SIGINT it dies of the signal, which shells show as the same code and
/// ask for to end their loops.
[[noreturn]] void end_program(int exit_code);

}  // namespace tardigrad
