#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <string>

#include "runtime/objective/parameters.h"

/// Declares how attributes of the objects that Python brings are read. The interpreter's lock is held.
namespace tardigrad {

/// Throws py::type_error where the object is a class: "expected an objective, got the class LeastSquares".
void require_no_class(const pybind11::object& object, const char* expected);

/// Returns the attribute; nothing where there is none, or it is None. Throws what a property does.
std::optional<pybind11::object> attribute(const pybind11::object& object, const char* name);

/// Returns a whole number of 1 or more that the object must have. Throws py::type_error and py::value_error.
int count_of(const pybind11::object& object, const std::string& class_name, const char* name);

/// Returns the tensors of the object's `shapes`, a dict; without them one, "x" [dimension]. Throws
/// py::type_error and py::value_error.
ParameterLayout layout_of(const pybind11::object& object, const std::string& class_name, int dimension);

}  // namespace tardigrad
