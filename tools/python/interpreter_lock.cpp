#include "tools/python/interpreter_lock.h"

namespace tardigrad {
namespace {

/// The state of a thread that is not Python's own: taken once, and given back when the thread ends.
class KeptThreadState {
 public:
  void take() {
    if (state_ || PyGILState_GetThisThreadState()) return;
    PyGILState_Ensure();
    state_ = PyEval_SaveThread();
  }

  ~KeptThreadState() {
    if (!state_ || !Py_IsInitialized()) return;
    PyEval_RestoreThread(state_);
    PyGILState_Release(PyGILState_UNLOCKED);
  }

 private:
  PyThreadState* state_ = nullptr;
};

}  // namespace

InterpreterLock::InterpreterLock() {
  static thread_local KeptThreadState kept;
  kept.take();
  before_ = PyGILState_Ensure();
}

InterpreterLock::~InterpreterLock() { PyGILState_Release(before_); }

}  // namespace tardigrad
