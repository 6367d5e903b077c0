#pragma once

#include <pybind11/pybind11.h>

namespace tardigrad {

/// Holds the interpreter's lock (the GIL) for as long as it lives, on any thread. A thread that Python has
/// not made keeps its state in the interpreter until it ends, since making one takes longer than many a
/// callback. Locks may be nested.
class InterpreterLock {
 public:
  InterpreterLock();
  ~InterpreterLock();
  InterpreterLock(const InterpreterLock&) = delete;
  InterpreterLock& operator=(const InterpreterLock&) = delete;

 private:
  PyGILState_STATE before_;
};

}  // namespace tardigrad
