#include "tools/python/python_objective.h"

#include <fmt/format.h>

#include <stdexcept>
#include <vector>

#include "tools/python/callback_name.h"
#include "tools/python/interpreter_lock.h"
#include "tools/python/python_attributes.h"
#include "tools/python/python_numbers.h"

namespace tardigrad {
namespace {

namespace py = pybind11;

/// Read-only, as what gradient() gets. Evaluations are few, and the memory that they are of may soon be gone.
py::array_t<float> copy_of(std::span<const float> model) {
  py::array_t<float> copy(static_cast<py::ssize_t>(model.size()), model.data());
  copy.attr("setflags")(py::arg("write") = false);
  return copy;
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
  require_no_class(object_, "an objective");
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
void PythonObjective::with_view(std::span<const float> model, const CallbackName& name,
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
  throw py::value_error(name.text() +
                        ": x or a view of it is kept, and its memory is the engine's; keep x.copy()");
}

float PythonObjective::compute(int worker, std::uint64_t job, std::span<const float> model,
                               std::span<float> gradient) {
  return guarded([&] {
    const CallbackName name{class_name_, "gradient", worker, job};
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

void PythonObjective::initialise(std::span<float> model, std::uint64_t seed) const {
  std::ranges::fill(model, 0.0F);
  if (!initial_model_) return;
  guarded([&] {
    const py::object random = py::module_::import("numpy").attr("random").attr("default_rng")(seed);
    take((*initial_model_)(random), model, {class_name_, "initial_model"});
    return 0;
  });
}

Evaluation PythonObjective::evaluate(std::span<const float> model, const BreakOff& break_off) {
  break_off.check();
  if (!evaluate_ && full_gradient_) return {.loss = full_gradient(model, {}, break_off)};
  if (!evaluate_) return {.loss = mean_loss(model, break_off)};
  return guarded([&] { return evaluation_of((*evaluate_)(copy_of(model)), {class_name_, "evaluate"}); });
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
    const CallbackName name{class_name_, "full_gradient"};
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
