#include "tools/python/python_objective.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "runtime/coordinator/run_errors.h"
#include "tools/python/interpreter_lock.h"

namespace tardigrad {
namespace {

namespace py = pybind11;

constexpr int most_elements = 1 << 30;  // an int counts them

/// Nothing where there is none, or it is None. Throws what a property does.
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

/// A whole number of 1 or more, of an attribute that every objective has.
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

/// The tensors of `shapes`, a dict; else one, "x".
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

/// Throws where a number is not finite.
template <typename From, typename To>
void copy_finite(const From* from, std::span<To> to, const std::string& name) {
  double sum = 0;  // it is 0 only where all are finite
  for (std::size_t i = 0; i < to.size(); ++i) {
    to[i] = static_cast<To>(from[i]);
    sum += 0 * static_cast<double>(to[i]);
  }
  if (sum == 0) return;
  std::size_t i = 0;
  while (std::isfinite(to[i])) ++i;
  throw NotFiniteError(
      fmt::format("{}: element {} is {}, expected finite numbers", name, i, static_cast<double>(to[i])), {});
}

/// Copies an array into the engine's memory. Throws where it is not one of that size, of floats, or not
/// finite.
template <typename To>
void take(const py::object& given, std::span<To> to, const std::string& name) {
  if (!py::isinstance<py::array>(given)) {
    throw py::type_error(
        fmt::format("{}: expected a NumPy array [{}] of floats, got {}", name, to.size(), type_name(given)));
  }
  const auto array = py::reinterpret_borrow<py::array>(given);
  if (array.dtype().kind() != 'f') {
    throw py::type_error(fmt::format("{}: expected an array of float32 or float64, got one of {}", name,
                                     std::string(py::str(array.dtype()))));
  }
  if (array.ndim() != 1 || static_cast<std::size_t>(array.size()) != to.size()) {
    const std::string shape = py::str(py::tuple(given.attr("shape")));
    throw py::value_error(
        fmt::format("{}: expected an array of shape ({},), got {}", name, to.size(), shape));
  }
  if (array.itemsize() == sizeof(float)) {
    copy_finite(py::array_t<float, py::array::c_style>::ensure(array).data(), to, name);
  } else {
    copy_finite(py::array_t<double, py::array::c_style | py::array::forcecast>::ensure(array).data(), to,
                name);
  }
}

double number_of(const py::object& given, const std::string& name) {
  const double value = PyFloat_AsDouble(given.ptr());
  if (PyErr_Occurred()) {
    if (!PyErr_ExceptionMatches(PyExc_Exception)) throw py::error_already_set();
    PyErr_Clear();
    throw py::type_error(fmt::format("{}: expected a number as loss, got {}", name, type_name(given)));
  }
  return value;
}

/// "list", "tuple of 3"
std::string kind_of(const py::object& given) {
  const std::string type = type_name(given);
  return py::isinstance<py::tuple>(given) ? fmt::format("{} of {}", type, py::len(given)) : type;
}

/// A pair of a loss and an array.
std::pair<double, py::object> loss_and_array(const py::object& given, const std::string& name) {
  if (!py::isinstance<py::tuple>(given) || py::len(given) != 2) {
    throw py::type_error(fmt::format("{}: expected a pair (loss, gradient), got {}", name, kind_of(given)));
  }
  const auto pair = py::reinterpret_borrow<py::tuple>(given);
  return {number_of(pair[0], name), pair[1]};
}

/// Read-only, as what gradient() gets. Evaluations are few, and the memory that they are of may soon be gone.
py::array_t<float> copy_of(std::span<const float> model) {
  py::array_t<float> copy(static_cast<py::ssize_t>(model.size()), model.data());
  copy.attr("setflags")(py::arg("write") = false);
  return copy;
}

/// A loss, or a pair of a loss and an accuracy.
void take_evaluation(const py::object& given, const std::string& name, Evaluation& evaluation) {
  if (!py::isinstance<py::tuple>(given)) {
    evaluation.loss = number_of(given, name);
    return;
  }
  const auto pair = py::reinterpret_borrow<py::tuple>(given);
  if (pair.size() != 2) throw py::type_error(name + ": expected a loss, or a pair (loss, accuracy)");
  evaluation.loss = number_of(pair[0], name);
  evaluation.accuracy = number_of(pair[1], name);
  if (*evaluation.accuracy >= 0 && *evaluation.accuracy <= 1) return;
  throw py::value_error(fmt::format("{}: accuracy {}, expected 0 to 1", name, *evaluation.accuracy));
}

}  // namespace

/// Has the interpreter's lock, and where callbacks are to be one at a time the turn, which comes first: who
/// waits for it must not keep the interpreter from others.
class PythonObjective::Turn {
 public:
  explicit Turn(const PythonObjective& owner) : turn_(owner.turn_, std::defer_lock) {
    if (!owner.thread_safe_) turn_.lock();
    lock_.emplace();
  }
  ~Turn() { lock_.reset(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::unique_lock<std::mutex> turn_;
  std::optional<InterpreterLock> lock_;
};

class PythonObjective::Engine final : public GradientEngine {
 public:
  Engine(PythonObjective& owner, const StreamRef& stream) : owner_(owner), stream_(stream) {}

  void enqueue_minibatch(int, std::uint64_t job) override {
    stream_.host("minibatch", [this, job] { job_ = job; });
  }

  void enqueue_gradient(int worker, BufferRef<const float> model, BufferRef<float> gradient,
                        float* loss) override {
    stream_.host("gradient", [this, worker, model, gradient, loss] {
      *loss = owner_.compute(worker, job_, {model.data(), model.size()}, {gradient.data(), gradient.size()});
    });
  }

 private:
  PythonObjective& owner_;
  StreamRef stream_;
  std::uint64_t job_ = 0;
};

PythonObjective::PythonObjective(py::object object, std::uint64_t seed, OnError on_error,
                                 CallbackErrors& errors)
    : object_(std::move(object)), seed_(seed), on_error_(on_error), errors_(errors) {
  class_name_ = type_name(object_);
  if (PyType_Check(object_.ptr())) {
    throw py::type_error(fmt::format("expected an objective, got the class {}",
                                     std::string(py::str(object_.attr("__name__")))));
  }
  const auto gradient = attribute(object_, "gradient");
  if (!gradient) {
    throw py::type_error(
        fmt::format("{} has no gradient(worker, job, x), expected a tardigrad.Objective", class_name_));
  }
  gradient_ = *gradient;
  workers_ = count_of(object_, class_name_, "workers");
  layout_ = layout_of(object_, class_name_, count_of(object_, class_name_, "dimension"));
  initial_model_ = attribute(object_, "initial_model");
  evaluate_ = attribute(object_, "evaluate");
  full_gradient_ = attribute(object_, "full_gradient");
  thread_safe_ = py::bool_(py::getattr(object_, "thread_safe", py::bool_(false)));
  make_job_ = py::module_::import("tardigrad.objective").attr("Job");
}

/// The interpreter's lock is not held where a run has failed; objects are given back with it.
PythonObjective::~PythonObjective() {
  const InterpreterLock lock;
  for (py::object* object : {&object_, &gradient_, &make_job_}) *object = {};
  for (auto* object : {&initial_model_, &evaluate_, &full_gradient_}) object->reset();
}

std::unique_ptr<GradientEngine> PythonObjective::make_engine(const StreamRef& stream, std::span<const int>) {
  return std::make_unique<Engine>(*this, stream);
}

/// What the function throws ends the run, or is an error of the job alone.
template <typename Function>
auto PythonObjective::guarded(const Function& function) const {
  const Turn turn(*this);
  if (errors_.any()) throw std::runtime_error("the run has been ended by another callback's error");
  const CallbackErrors::Computing computing(errors_);
  try {
    return function();
  } catch (const py::error_already_set& error) {
    // What is no Exception, as Ctrl-C or SystemExit, is meant for the whole program.
    const bool ends_all = !PyErr_GivenExceptionMatches(error.type().ptr(), PyExc_Exception);
    throw std::runtime_error(ends_all || on_error_ == OnError::raise ? errors_.keep_current()
                                                                     : line_of_current());
  } catch (...) {
    throw std::runtime_error(on_error_ == OnError::raise ? errors_.keep_current() : line_of_current());
  }
}

/// Calls function(view of the model). Nobody may keep the view: its memory is the engine's.
template <typename Function>
void PythonObjective::with_view(std::span<const float> model, const std::string& name,
                                const Function& function) const {
  const py::capsule nobody(model.data(), [](void*) {});  // so that NumPy does not copy
  py::array_t<float> view(static_cast<py::ssize_t>(model.size()), model.data(), nobody);
  view.attr("setflags")(py::arg("write") = false);
  const auto is_kept = [&] {
    if (Py_REFCNT(view.ptr()) == 1) return false;
    py::module_::import("gc").attr("collect")();  // a cycle that nobody has
    return Py_REFCNT(view.ptr()) > 1;
  };
  try {
    function(view);
  } catch (py::error_already_set& error) {
    if (error.trace()) py::module_::import("traceback").attr("clear_frames")(error.trace());
    if (is_kept()) views_were_kept_ = true;
    throw;
  }
  if (!is_kept()) return;
  views_were_kept_ = true;
  throw py::value_error(name + ": x or a view of it is kept, and its memory is the engine's; keep x.copy()");
}

float PythonObjective::compute(int worker, std::uint64_t job, std::span<const float> model,
                               std::span<float> gradient) {
  return guarded([&] {
    const std::string name = name_of("gradient", worker, job);
    float loss = 0;
    with_view(model, name, [&](const py::array& view) {
      const auto [value, array] =
          loss_and_array(gradient_(worker, make_job_(job, worker, seed_), view), name);
      take(array, gradient, name);
      loss = static_cast<float>(value);
    });
    return loss;
  });
}

std::string PythonObjective::name_of(const char* callback, std::optional<int> worker,
                                     std::uint64_t job) const {
  if (!worker) return fmt::format("{}.{}", class_name_, callback);
  return fmt::format("{}.{}(worker {}, job {})", class_name_, callback, *worker, job);
}

void PythonObjective::initialise(std::span<float> model, std::uint64_t seed) const {
  std::ranges::fill(model, 0.0F);
  if (!initial_model_) return;
  guarded([&] {
    const py::object random = py::module_::import("numpy").attr("random").attr("default_rng")(seed);
    take((*initial_model_)(random), model, name_of("initial_model"));
    return 0;
  });
}

Evaluation PythonObjective::evaluate(std::span<const float> model, const BreakOff& break_off) {
  break_off.check();
  Evaluation evaluation;
  if (!evaluate_ && full_gradient_) {
    evaluation.loss = full_gradient(model, {}, break_off);
    return evaluation;
  }
  if (!evaluate_) {
    evaluation.loss = mean_loss(model, break_off);
    return evaluation;
  }
  guarded([&] {
    const std::string name = name_of("evaluate");
    take_evaluation((*evaluate_)(copy_of(model)), name, evaluation);
    return 0;
  });
  return evaluation;
}

/// Of one minibatch of each worker, which no job of the run has.
double PythonObjective::mean_loss(std::span<const float> model, const BreakOff& break_off) {
  constexpr std::uint64_t of_no_job = (std::uint64_t{1} << 31) - 1;
  std::vector<float> unused(model.size());
  double sum = 0;
  for (int worker = 0; worker < workers_; ++worker) {
    break_off.check();
    sum += static_cast<double>(compute(worker, of_no_job, model, unused));
  }
  return sum / workers_;
}

double PythonObjective::full_gradient(std::span<const float> model, std::span<double> gradient,
                                      const BreakOff& break_off) {
  if (!full_gradient_) return Objective::full_gradient(model, gradient, break_off);
  break_off.check();
  double loss = 0;
  guarded([&] {
    const std::string name = name_of("full_gradient");
    const auto [value, array] = loss_and_array((*full_gradient_)(copy_of(model)), name);
    if (!gradient.empty()) take(array, gradient, name);
    loss = value;
    return 0;
  });
  return loss;
}

bool PythonObjective::sample_gradient(std::span<const float> model, std::span<double> gradient,
                                      const BreakOff& break_off) {
  if (!full_gradient_) return false;
  full_gradient(model, gradient, break_off);
  return true;
}

}  // namespace tardigrad
