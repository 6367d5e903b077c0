#include "tools/python/python_errors.h"

#include <algorithm>

namespace tardigrad {
namespace {

namespace py = pybind11;

/// Python's own words, "ValueError: too many values to unpack"; the type's alone where there are none.
std::string describe(const py::error_already_set& error) {
  std::string type = "an exception";
  try {
    type = py::str(error.type().attr("__name__"));
    const std::string text = py::str(error.value());
    return text.empty() ? type : type + ": " + text;
  } catch (const std::exception&) {  // its __str__ fails, or it is no text
    return type;
  }
}

}  // namespace

std::string line_of_current() {
  std::string line;
  try {
    throw;
  } catch (const py::error_already_set& error) {
    if (error.trace()) py::module_::import("traceback").attr("clear_frames")(error.trace());
    line = describe(error);
  } catch (const std::exception& error) {
    line = error.what();
  }
  std::ranges::replace(line, '\n', ' ');
  return line;
}

std::string type_name(const py::handle& object) {
  return py::str(py::type::handle_of(object).attr("__name__"));
}

std::string CallbackErrors::keep_current() {
  {
    const std::lock_guard lock(mutex_);
    if (!first_) first_ = std::current_exception();
  }
  stop_();
  return line_of_current();
}

bool CallbackErrors::any() const {
  const std::lock_guard lock(mutex_);
  return first_ != nullptr;
}

CallbackErrors::Computing::Computing(CallbackErrors& errors)
    : errors_(errors), thread_(PyThread_get_thread_ident()) {
  const std::lock_guard lock(errors_.mutex_);
  errors_.computing_.push_back(thread_);
}

CallbackErrors::Computing::~Computing() {
  const std::lock_guard lock(errors_.mutex_);
  errors_.computing_.erase(std::ranges::find(errors_.computing_, thread_));
}

void CallbackErrors::interrupt_callbacks() {
  const std::lock_guard lock(mutex_);
  for (const unsigned long thread : computing_) PyThreadState_SetAsyncExc(thread, PyExc_KeyboardInterrupt);
}

void CallbackErrors::rethrow() const {
  const std::lock_guard lock(mutex_);
  if (first_) std::rethrow_exception(first_);
}

}  // namespace tardigrad
