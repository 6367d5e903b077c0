#include "tools/python/python_run.h"

#include <pybind11/stl.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "runtime/checkpoint/checkpoints.h"
#include "runtime/coordinator/run_errors.h"
#include "tools/cli/command_line.h"
#include "tools/compare/compare.h"
#include "tools/options/compare_options.h"
#include "tools/options/train_command.h"
#include "tools/python/interpreter_lock.h"
#include "tools/python/python_method.h"
#include "tools/train/train.h"

namespace tardigrad {
namespace {

namespace py = pybind11;

/// Ends a run for its caller.
class Control final : public RunControl {
 public:
  std::stop_token run() override { return stop_.get_token(); }
  CheckpointRequest& checkpoint_request() override { return checkpoint_request_; }
  void stop() { stop_.request_stop(); }

 private:
  std::stop_source stop_;
  CheckpointRequest checkpoint_request_;
};

/// Does the work on a thread of its own, with the interpreter free, and looks now and then whether Ctrl-C has
/// been pressed. Returns whether it has. Throws what the work does.
bool until_interrupted(Control& control, const std::function<void()>& work) {
  constexpr std::chrono::milliseconds look_every{50};
  std::mutex mutex;
  std::condition_variable ended;
  bool is_over = false;
  std::exception_ptr failure;
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
  bool interrupted = false;
  {
    const py::gil_scoped_release free;
    for (std::unique_lock lock(mutex); !ended.wait_for(lock, look_every, [&] { return is_over; });) {
      lock.unlock();
      {
        const InterpreterLock python;
        if (PyErr_CheckSignals() != 0) {
          PyErr_Clear();  // of Ctrl-C; a second one changes nothing: what computes has to come to its end
          interrupted = true;
          control.stop();
        }
      }
      lock.lock();
    }
    thread.join();
  }
  if (failure) std::rethrow_exception(failure);
  return interrupted;
}

/// The parts of a run that Python brings.
class Brought {
 public:
  Brought(const RunParts& parts, Control& control) : parts_(parts), errors_([&control] { control.stop(); }) {}

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
    own.keeps_memory = [this] { return objective_ && objective_->views_were_kept(); };
    own.take_model = [this](const ParameterLayout& layout, std::span<const float> model) {
      layout_ = layout;
      model_.assign(model.begin(), model.end());
    };
    return own;
  }

  const CallbackErrors& errors() const { return errors_; }

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
  Control control;
  Brought brought(parts, control);
  bool interrupted = false;
  try {
    interrupted = until_interrupted(control, [&] {
      const auto checkpoint = read_command_line(app, arguments);
      options.command_line = command_line;
      train(options, checkpoint.get(), control, brought.own());
    });
  } catch (...) {
    brought.errors().rethrow();
    throw;
  }
  brought.errors().rethrow();
  py::dict result = brought.result();
  result["interrupted"] = interrupted;
  return result;
}

bool run_compare(const std::vector<std::string>& words) {
  CLI::App app("tardigrad", "tardigrad");
  CompareOptions options;
  add_compare_command(app, options);
  std::vector<std::string> arguments{"compare"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  Control control;
  return until_interrupted(control, [&] {
    static_cast<void>(read_command_line(app, arguments));
    compare(options, control);
  });
}

}  // namespace tardigrad
