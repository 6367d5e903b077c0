#pragma once

#include <functional>
#include <memory>

namespace tardigrad::emulation {

/// A stack of its own for code that can stop in the middle and be taken up again, always by the same system
/// thread.
class Fiber {
 public:
  /// `body` begins when the fiber is first gone on with, and never returns: it leaves when it has nothing to
  /// do.
  explicit Fiber(std::function<void()> body);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();

  /// From the stack of the system thread: runs the body from where it stopped until a fiber calls suspend().
  void resume();

  /// From within the body: leaves it, and goes on with that of another fiber.
  void switch_to(const Fiber& other);

  /// From within the body: leaves it, and goes on behind resume().
  void suspend();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace tardigrad::emulation
