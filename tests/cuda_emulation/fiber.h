#pragma once

#include <functional>
#include <memory>

namespace tardigrad::emulation {

/// A stack of its own for code that can stop in the middle and be taken up again, always by the same system
/// thread.
class Fiber {
 public:
  /// `body` begins at the first resume() and never returns: it calls suspend() when it has nothing to do.
  explicit Fiber(std::function<void()> body);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();

  /// Runs the body from where it stopped until it calls suspend().
  void resume();

  /// From within the body: back to whoever called resume().
  void suspend();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace tardigrad::emulation
