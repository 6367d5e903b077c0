#pragma once

#include <pybind11/pybind11.h>

#include <span>
#include <utility>

#include "runtime/objective/objective.h"
#include "tools/python/callback_name.h"

/// Declares how what callbacks return is read. The interpreter's lock is held. All throw py::type_error and
/// py::value_error, and NotFiniteError where elements are not finite, which begin with the call's name.
namespace tardigrad {

/// Copies a NumPy array of float32 or float64 into the engine's memory, whose size it must have.
void take(const pybind11::object& given, std::span<float> to, const CallbackName& name);
void take(const pybind11::object& given, std::span<double> to, const CallbackName& name);

/// Returns a loss or an accuracy.
double number_of(const pybind11::object& given, const CallbackName& name);

/// Returns the parts of a pair of a loss and an array, which take() is for.
std::pair<double, pybind11::object> loss_and_array(const pybind11::object& given, const CallbackName& name);

/// Reads a loss, or a pair of a loss and an accuracy.
Evaluation evaluation_of(const pybind11::object& given, const CallbackName& name);

}  // namespace tardigrad
