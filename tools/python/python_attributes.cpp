#include "tools/python/python_attributes.h"

#include <fmt/format.h>

#include <cstdint>
#include <vector>

#include "tools/python/python_errors.h"

namespace tardigrad {
namespace {

namespace py = pybind11;

constexpr int most_elements = 1 << 30;  // an int counts them

}  // namespace

void require_no_class(const py::object& object, const char* expected) {
  if (!PyType_Check(object.ptr())) return;
  throw py::type_error(
      fmt::format("expected {}, got the class {}", expected, std::string(py::str(object.attr("__name__")))));
}

std::optional<py::object> attribute(const py::object& object, const char* name) {
  const auto found = py::reinterpret_steal<py::object>(PyObject_GetAttrString(object.ptr(), name));
  if (!found) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw py::error_already_set();
    PyErr_Clear();
    return std::nullopt;
  }
  if (found.is_none()) return std::nullopt;
  return found;
}

int count_of(const py::object& object, const std::string& class_name, const char* name) {
  const auto found = attribute(object, name);
  if (!found) throw py::type_error(fmt::format("{} has no {}, expected a whole number", class_name, name));
  // By __index__, as NumPy's numbers have it, too.
  const py::object number = py::reinterpret_steal<py::object>(PyNumber_Index(found->ptr()));
  if (!number) {
    PyErr_Clear();
    throw py::type_error(
        fmt::format("{}.{} is {}, expected a whole number", class_name, name, std::string(py::repr(*found))));
  }
  const long long value = PyLong_AsLongLong(number.ptr());
  if (PyErr_Occurred()) PyErr_Clear();
  if (value < 1 || value > most_elements) {
    throw py::value_error(fmt::format("{}.{} is {}, expected 1 to {}", class_name, name,
                                      std::string(py::repr(*found)), most_elements));
  }
  return static_cast<int>(value);
}

ParameterLayout layout_of(const py::object& object, const std::string& class_name, int dimension) {
  ParameterLayout layout;
  const auto shapes = attribute(object, "shapes");
  if (!shapes) {
    layout.add("x", {dimension});
    return layout;
  }
  const auto refuse = [&] {
    throw py::type_error(
        fmt::format("{}.shapes: expected a dict from names to tuples of whole numbers", class_name));
  };
  if (!py::isinstance<py::dict>(*shapes)) refuse();
  for (const auto& [name, shape] : shapes->cast<py::dict>()) {
    if (!py::isinstance<py::str>(name) || !py::isinstance<py::sequence>(shape)) refuse();
    std::vector<std::int64_t> extents;
    for (const auto& extent : py::reinterpret_borrow<py::sequence>(shape)) {
      if (!py::isinstance<py::int_>(extent)) refuse();
      extents.push_back(extent.cast<std::int64_t>());
      if (extents.back() < 1) {
        throw py::value_error(fmt::format("{}.shapes: {} has an extent of {}, expected 1 or more", class_name,
                                          name.cast<std::string>(), extents.back()));
      }
    }
    layout.add(name.cast<std::string>(), std::move(extents));
  }
  if (layout.dimension() != static_cast<std::size_t>(dimension)) {
    throw py::value_error(fmt::format("{}.shapes have {} elements, and dimension is {}", class_name,
                                      layout.dimension(), dimension));
  }
  return layout;
}

}  // namespace tardigrad
