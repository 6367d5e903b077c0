#include "tools/python/python_run.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <thread>

#include "runtime/base/say.h"
#include "runtime/checkpoint/checkpoints.h"
#include "runtime/coordinator/run_errors.h"
#include "runtime/execution/execution.h"
#include "tools/cli/command_line.h"
#include "tools/compare/compare.h"
#include "tools/options/compare_options.h"
#include "tools/options/train_command.h"
#include "tools/python/interpreter_lock.h"
#include "tools/python/python_method.h"
#include "tools/train/abandoned.h"
#include "tools/train/train.h"

namespace tardigrad {
namespace {

namespace py = pybind11;

/// Counts the runs that go on, so that the interpreter does not end below them.
class RunsInProgress {
 public:
  static RunsInProgress& all() {
    static auto* const runs = new RunsInProgress;
    return *runs;
  }

  void begin(std::stop_source& stop) {
    const std::lock_guard lock(mutex_);
    stops_.insert(&stop);
  }

  void end(std::stop_source& stop) {
    const std::lock_guard lock(mutex_);
    stops_.erase(&stop);
    ended_.notify_all();
  }

  /// Stops them, and waits for their ends. Returns whether all have come. The interpreter's lock is not held.
  bool stop() {
    constexpr std::chrono::seconds longest{10};
    std::unique_lock lock(mutex_);
    for (std::stop_source* stop : stops_) stop->request_stop();
    return ended_.wait_for(lock, longest, [this] { return stops_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::set<std::stop_source*> stops_;
};

/// What Python's signal handlers have made of the signals of a run.
struct Signals {
  int interrupts = 0;        ///< How often Ctrl-C was pressed.
  std::exception_ptr other;  ///< What a handler raised besides.

  /// Returns whether there was one. The interpreter's lock is held.
  bool look() {
    if (PyErr_CheckSignals() == 0) return false;
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
      PyErr_Clear();
      ++interrupts;
    } else {
      other = std::make_exception_ptr(py::error_already_set());
    }
    return true;
  }
};

/// Does the work on a thread of its own, with the interpreter free, and looks now and then for signals: the
/// first Ctrl-C stops the run, and with the next ones `interrupt_callbacks` is called. Returns whether there
/// was one. Throws what the work does, and what a signal handler has raised.
bool until_interrupted(
    std::stop_source& stop, const std::function<void()>& work,
    const std::function<void()>& interrupt_callbacks = [] {}) {
  constexpr std::chrono::milliseconds look_every{50};
  std::mutex mutex;
  std::condition_variable ended;
  bool is_over = false;
  std::exception_ptr failure;
  RunsInProgress::all().begin(stop);
  std::thread thread([&] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    is_over = true;
    ended.notify_one();
  });
  Signals signals;
  {
    const py::gil_scoped_release free;
    for (std::unique_lock lock(mutex); !ended.wait_for(lock, look_every, [&] { return is_over; });) {
      lock.unlock();
      {
        const InterpreterLock python;
        if (signals.look()) {
          stop.request_stop();
          if (signals.interrupts > 1) interrupt_callbacks();
        }
      }
      lock.lock();
    }
    thread.join();
  }
  RunsInProgress::all().end(stop);
  if (signals.other) std::rethrow_exception(signals.other);
  if (failure) std::rethrow_exception(failure);
  return signals.interrupts > 0;
}

/// The parts of a run that Python brings.
class Brought {
 public:
  Brought(const RunParts& parts, std::stop_source& stop)
      : parts_(parts), errors_([&stop] { stop.request_stop(); }) {}

  OwnParts own() {
    OwnParts own;
    if (!parts_.objective.is_none()) {
      own.objective = [this](const TrainOptions& options) { return make_objective(options); };
    }
    if (!parts_.method.is_none()) {
      own.method = [this](const MethodOptions& options) -> std::unique_ptr<Method> {
        const InterpreterLock lock;
        return std::make_unique<PythonMethod>(parts_.method, options);
      };
    }
    own.shows_results = true;
    own.log_is_new = parts_.log_is_new;
    own.keeps_memory = [this] { return objective_ && objective_->views_were_kept(); };
    own.take_model = [this](const ParameterLayout& layout, std::span<const float> model) {
      layout_ = layout;
      model_.assign(model.begin(), model.end());
    };
    return own;
  }

  CallbackErrors& errors() { return errors_; }

  py::dict result() const {
    py::list tensors;
    for (const TensorSpec& tensor : layout_.tensors()) {
      tensors.append(py::make_tuple(tensor.name, py::tuple(py::cast(tensor.shape)), tensor.offset));
    }
    py::dict result;
    result["model"] = py::array_t<float>(static_cast<py::ssize_t>(model_.size()), model_.data());
    result["tensors"] = tensors;
    return result;
  }

 private:
  std::unique_ptr<Objective> make_objective(const TrainOptions& options) {
    const InterpreterLock lock;
    auto objective =
        std::make_unique<PythonObjective>(parts_.objective, options.seed, parts_.on_error, errors_);
    if ((options.eval_objective || options.eval_gradient) && !objective->has_full_gradient()) {
      throw std::invalid_argument(options.model +
                                  " has no full_gradient(x), which --eval-objective and "
                                  "--eval-gradient need");
    }
    if (parts_.on_error == OnError::lose && options.clock == ClockKind::virtual_time) {
      throw std::invalid_argument("errors='lose' has no use in virtual time, where an error ends the run");
    }
    objective_ = objective.get();
    return objective;
  }

  const RunParts& parts_;
  CallbackErrors errors_;
  PythonObjective* objective_ = nullptr;
  ParameterLayout layout_;
  std::vector<float> model_;
};

}  // namespace

py::dict run_train(const std::vector<std::string>& words, const RunParts& parts,
                   const std::string& command_line) {
  CLI::App app("tardigrad", "tardigrad");
  TrainOptions options;
  add_train_command(app, options);
  std::vector<std::string> arguments{"train"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::stop_source stop;
  TokenControl control(stop.get_token());
  Brought brought(parts, stop);
  bool interrupted = false;
  try {
    const auto work = [&] {
      const auto checkpoint = read_command_line(app, arguments);
      options.command_line = command_line;
      train(options, checkpoint.get(), control, brought.own());
    };
    interrupted = until_interrupted(stop, work, [&] { brought.errors().interrupt_callbacks(); });
  } catch (...) {
    brought.errors().rethrow();
    throw;
  }
  brought.errors().rethrow();
  py::dict result = brought.result();
  result["interrupted"] = interrupted;
  return result;
}

void end_runs() {
  bool all_ended = false;
  {
    const py::gil_scoped_release free;
    all_ended = RunsInProgress::all().stop();
  }
  if (all_ended && !anything_abandoned()) return;
  say_line("tardigrad: a callback has not come back; the program ends without it");
  for (const char* stream : {"stdout", "stderr"}) py::module_::import("sys").attr(stream).attr("flush")();
  std::fflush(nullptr);
  std::_Exit(1);
}

bool run_compare(const std::vector<std::string>& words, bool prints) {
  CLI::App app("tardigrad", "tardigrad");
  CompareOptions options;
  add_compare_command(app, options);
  std::vector<std::string> arguments{"compare"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::stop_source stop;
  TokenControl control(stop.get_token());
  return until_interrupted(stop, [&] {
    static_cast<void>(read_command_line(app, arguments));
    compare(options, control, prints);
  });
}

}  // namespace tardigrad
