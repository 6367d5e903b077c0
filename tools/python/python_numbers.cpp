#include "tools/python/python_numbers.h"

#include <fmt/format.h>
#include <pybind11/numpy.h>

#include <cmath>
#include <string>

#include "runtime/coordinator/run_errors.h"
#include "tools/python/python_errors.h"

namespace tardigrad {
namespace {

namespace py = pybind11;

/// Copies the elements. Throws where one is not finite.
template <typename From, typename To>
void copy_finite(const From* from, std::span<To> to, const CallbackName& name) {
  double sum = 0;  // it is 0 only where all are finite
  for (std::size_t i = 0; i < to.size(); ++i) {
    to[i] = static_cast<To>(from[i]);
    sum += 0 * static_cast<double>(to[i]);
  }
  if (sum == 0) return;
  std::size_t i = 0;
  while (std::isfinite(to[i])) ++i;
  throw NotFiniteError(fmt::format("{}: element {} is {}, expected finite numbers", name.text(), i,
                                   static_cast<double>(to[i])),
                       {});
}

template <typename To>
void take_array(const py::object& given, std::span<To> to, const CallbackName& name) {
  if (!py::isinstance<py::array>(given)) {
    throw py::type_error(fmt::format("{}: expected a NumPy array [{}] of floats, got {}", name.text(),
                                     to.size(), type_name(given)));
  }
  const auto array = py::reinterpret_borrow<py::array>(given);
  if (array.dtype().kind() != 'f') {
    throw py::type_error(fmt::format("{}: expected an array of float32 or float64, got one of {}",
                                     name.text(), std::string(py::str(array.dtype()))));
  }
  if (array.ndim() != 1 || static_cast<std::size_t>(array.size()) != to.size()) {
    const std::string shape = py::str(py::tuple(given.attr("shape")));
    throw py::value_error(
        fmt::format("{}: expected an array of shape ({},), got {}", name.text(), to.size(), shape));
  }
  if (array.itemsize() == sizeof(float)) {
    copy_finite(py::array_t<float, py::array::c_style>::ensure(array).data(), to, name);
  } else {
    copy_finite(py::array_t<double, py::array::c_style | py::array::forcecast>::ensure(array).data(), to,
                name);
  }
}

/// Says what an object is: "list", "tuple of 3".
std::string kind_of(const py::object& given) {
  const std::string type = type_name(given);
  return py::isinstance<py::tuple>(given) ? fmt::format("{} of {}", type, py::len(given)) : type;
}

}  // namespace

void take(const py::object& given, std::span<float> to, const CallbackName& name) {
  take_array(given, to, name);
}

void take(const py::object& given, std::span<double> to, const CallbackName& name) {
  take_array(given, to, name);
}

double number_of(const py::object& given, const CallbackName& name) {
  const double value = PyFloat_AsDouble(given.ptr());
  if (PyErr_Occurred()) {
    if (!PyErr_ExceptionMatches(PyExc_Exception)) throw py::error_already_set();
    PyErr_Clear();
    throw py::type_error(fmt::format("{}: expected a number as loss, got {}", name.text(), type_name(given)));
  }
  return value;
}

std::pair<double, py::object> loss_and_array(const py::object& given, const CallbackName& name) {
  if (!py::isinstance<py::tuple>(given) || py::len(given) != 2) {
    throw py::type_error(
        fmt::format("{}: expected a pair (loss, gradient), got {}", name.text(), kind_of(given)));
  }
  const auto pair = py::reinterpret_borrow<py::tuple>(given);
  return {number_of(pair[0], name), pair[1]};
}

Evaluation evaluation_of(const py::object& given, const CallbackName& name) {
  Evaluation evaluation;
  if (!py::isinstance<py::tuple>(given)) {
    evaluation.loss = number_of(given, name);
    return evaluation;
  }
  const auto pair = py::reinterpret_borrow<py::tuple>(given);
  if (pair.size() != 2) throw py::type_error(name.text() + ": expected a loss, or a pair (loss, accuracy)");
  evaluation.loss = number_of(pair[0], name);
  const double accuracy = number_of(pair[1], name);
  if (!(accuracy >= 0 && accuracy <= 1)) {
    throw py::value_error(fmt::format("{}: accuracy {}, expected 0 to 1", name.text(), accuracy));
  }
  evaluation.accuracy = accuracy;
  return evaluation;
}

}  // namespace tardigrad
