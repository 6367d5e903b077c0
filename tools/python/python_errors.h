#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace tardigrad {

/// Is the first error that a callback of a run has ended with: a run ends where its threads allow, and
/// whoever called it hears of this one, with Python's traceback.
class CallbackErrors {
 public:
  /// `stop` ends the run.
  explicit CallbackErrors(std::function<void()> stop) : stop_(std::move(stop)) {}

  /// Keeps the exception that is being handled, unless there is one already, and ends the run. The
  /// interpreter's lock is held. Variables of the frames that it passed through are released: they may be
  /// views of memory that ends with the run. Returns a line that says what happened.
  std::string keep_current();

  /// Tells whether an error was kept: no callback should begin any more.
  bool any() const;

  /// Is for as long as a thread computes a callback, on it. The interpreter's lock is held.
  class Computing {
   public:
    explicit Computing(CallbackErrors& errors);
    ~Computing();
    Computing(const Computing&) = delete;
    Computing& operator=(const Computing&) = delete;

   private:
    CallbackErrors& errors_;
    unsigned long thread_;
  };

  /// Raises KeyboardInterrupt in all callbacks that are being computed. The interpreter's lock is held.
  void interrupt_callbacks();

  /// Throws the error that was kept, if there is one. The interpreter's lock is held.
  void rethrow() const;

 private:
  std::function<void()> stop_;
  mutable std::mutex mutex_;
  std::exception_ptr first_;
  std::vector<unsigned long> computing_;  // threads, as Python numbers them
};

/// Returns what the exception that is being handled says, in a line, and releases its frames' variables.
std::string line_of_current();

/// Returns the name of an object's class, for errors. The interpreter's lock is held.
std::string type_name(const pybind11::handle& object);

}  // namespace tardigrad
