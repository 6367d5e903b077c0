#include "tools/python/python_errors.h"

#include <algorithm>

namespace tardigrad {
namespace {

namespace py = pybind11;

/// Python's own words: "ValueError: too many values to unpack".
std::string describe(const py::error_already_set& error) {
  const std::string type = py::str(error.type().attr("__name__"));
  const std::string text = py::str(error.value());
  return text.empty() ? type : type + ": " + text;
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

std::string CallbackErrors::keep_current() {
  std::string line = line_of_current();
  {
    const std::lock_guard lock(mutex_);
    if (!first_) first_ = std::current_exception();
  }
  stop_();
  return line;
}

void CallbackErrors::rethrow() const {
  const std::lock_guard lock(mutex_);
  if (first_) std::rethrow_exception(first_);
}

}  // namespace tardigrad
