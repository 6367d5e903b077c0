#include "tools/python/python_objective.h"

#include <fmt/format.h>
#include <pybind11/numpy.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "runtime/device/cuda/native_call.h"
#include "tools/python/callback_name.h"
#include "tools/python/device_loss.h"
#include "tools/python/device_vector.h"
#include "tools/python/interpreter_lock.h"
#include "tools/python/python_attributes.h"
#include "tools/python/python_numbers.h"

namespace tardigrad {
namespace {

namespace py = pybind11;

/// Of the engine's own memory, read-only.
py::object view_of(std::span<const float> model) {
  const py::capsule nobody(model.data(), [](void*) {});  // so that NumPy does not copy
  py::array_t<float> view(static_cast<py::ssize_t>(model.size()), model.data(), nobody);
  view.attr("setflags")(py::arg("write") = false);
  return view;
}

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

/// A view of the engine's memory in a callback's arguments.
struct PythonObjective::Lent {
  const char* name;
  const py::object& object;

  /// Tells whether somebody else has it still.
  bool is_kept() const {
    constexpr int looks = 20;
    if (Py_REFCNT(object.ptr()) == 1) return false;
    py::module_::import("gc").attr("collect")();  // a cycle that nobody has
    for (int i = 0; i < looks && Py_REFCNT(object.ptr()) > 1; ++i) {
      const py::gil_scoped_release free;  // a thread of the callback's may be about to give it back
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return Py_REFCNT(object.ptr()) > 1;
  }
};

class PythonObjective::CpuEngine final : public GradientEngine {
 public:
  CpuEngine(PythonObjective& owner, const StreamRef& stream) : owner_(owner), stream_(stream) {}

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

/// The callback runs where a job is enqueued, on the thread that does so.
class PythonObjective::CudaEngine final : public GradientEngine {
 public:
  CudaEngine(PythonObjective& owner, const StreamRef& stream) : owner_(owner), stream_(stream) {}

  void enqueue_minibatch(int, std::uint64_t job) override { job_ = job; }

  void enqueue_gradient(int worker, BufferRef<const float> model, BufferRef<float> gradient,
                        float* loss) override {
    stream_.zero(gradient);
    cuda::call_native<Gradient>(stream_, [&](CudaStream native) {
      owner_.enqueue({stream_, native}, worker, job_, model, gradient, loss);
    });
  }

 private:
  struct Gradient {
    static constexpr const char* name = "gradient";
  };

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
  cuda_gradient_ = attribute(object_, "cuda_gradient");
  cuda_evaluate_ = attribute(object_, "cuda_evaluate");
  thread_safe_ = py::bool_(py::getattr(object_, "thread_safe", py::bool_(false)));
  make_job_ = py::module_::import("tardigrad.objective").attr("Job");
}

/// The interpreter's lock is not held where a run has failed; objects are given back with it.
PythonObjective::~PythonObjective() {
  const InterpreterLock lock;
  for (py::object* object : {&object_, &gradient_, &make_job_}) *object = {};
  for (auto* object : {&initial_model_, &evaluate_, &full_gradient_, &cuda_gradient_, &cuda_evaluate_}) {
    object->reset();
  }
}

std::unique_ptr<GradientEngine> PythonObjective::make_engine(const StreamRef& stream, std::span<const int>) {
  if (stream.device().backend == Backend::cpu) return std::make_unique<CpuEngine>(*this, stream);
  if (!gpu_) gpu_ = stream.device();
  return std::make_unique<CudaEngine>(*this, stream);
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

/// Calls function(). Nobody may have kept one of the views behind it: their memory is the engine's.
template <typename Function>
void PythonObjective::lend(const CallbackName& name, std::initializer_list<Lent> views,
                           const Function& function) const {
  const auto kept = [&] { return std::ranges::find_if(views, &Lent::is_kept); };
  try {
    function();
  } catch (py::error_already_set& error) {
    if (error.trace()) py::module_::import("traceback").attr("clear_frames")(error.trace());
    if (kept() != views.end()) views_were_kept_ = true;
    throw;
  } catch (...) {
    if (kept() != views.end()) views_were_kept_ = true;
    throw;
  }
  const auto* const view = kept();
  if (view == views.end()) return;
  views_were_kept_ = true;
  throw py::value_error(
      fmt::format("{}: {} or a view of it is kept, and its memory is the engine's; keep a copy", name.text(),
                  view->name));
}

float PythonObjective::compute(int worker, std::uint64_t job, std::span<const float> model,
                               std::span<float> gradient) {
  return guarded([&] {
    const CallbackName name{class_name_, "gradient", worker, job};
    const py::object x = view_of(model);
    float loss = 0;
    lend(name, {{"x", x}}, [&] {
      const auto [value, array] = loss_and_array(gradient_(worker, make_job_(job, worker, seed_), x), name);
      take(array, gradient, name);
      loss = static_cast<float>(value);
    });
    return loss;
  });
}

void PythonObjective::enqueue(const JobStream& stream, int worker, std::uint64_t job,
                              BufferRef<const float> model, BufferRef<float> gradient, float* loss) {
  guarded([&] {
    const CallbackName name{class_name_, "cuda_gradient", worker, job};
    const py::object x = py::cast(DeviceVector(stream, model));
    const py::object g = py::cast(DeviceVector(stream, gradient));
    lend(name, {{"x", x}, {"gradient", g}}, [&] {
      const py::object of_job = make_job_(job, worker, seed_, stream.address(), stream.device().index);
      const py::object given = (*cuda_gradient_)(worker, of_job, x, g);
      take_loss(given, stream, loss, name);
      if (g.cast<const DeviceVector&>().was_taken()) return;
      throw py::value_error(name.text() +
                            ": nobody has asked for the memory of gradient, so that it was not written");
    });
    return 0;
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
  if (gpu_ && cuda_evaluate_) {
    return guarded([&] {
      return evaluation_of((*cuda_evaluate_)(gpu_->index, copy_of(model)), {class_name_, "cuda_evaluate"});
    });
  }
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
