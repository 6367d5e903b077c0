#include "tools/python/python_method.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>
#include <utility>

#include "runtime/base/state_archive.h"
#include "tools/python/interpreter_lock.h"
#include "tools/python/python_attributes.h"
#include "tools/python/python_errors.h"

namespace tardigrad {
namespace {

namespace py = pybind11;

/// The action that an object is, if it is one.
template <std::size_t alternative = 0>
bool read_action(const py::handle& object, Action& action) {
  if constexpr (alternative == std::variant_size_v<Action>) {
    return false;
  } else {
    using Kind = std::variant_alternative_t<alternative, Action>;
    if (!py::isinstance<Kind>(object)) return read_action<alternative + 1>(object, action);
    action = object.cast<const Kind&>();
    return true;
  }
}

/// The objects that runs use. The interpreter's lock is held.
std::set<const PyObject*>& in_use() {
  static std::set<const PyObject*> objects;
  return objects;
}

/// Of a method that could not be made.
struct ReleaseUnlessDone {
  const PyObject* object;
  mutable bool done = false;
  ~ReleaseUnlessDone() {
    if (!done) in_use().erase(object);
  }
};

}  // namespace

PythonMethod::PythonMethod(py::object object, const MethodOptions& options)
    : object_(std::move(object)), workers_(options.workers) {
  class_name_ = type_name(object_);
  require_no_class(object_, "a method");
  if (!in_use().insert(object_.ptr()).second) {
    throw py::value_error(
        fmt::format("this {} is in use by another run, expected one for each", class_name_));
  }
  const ReleaseUnlessDone release{object_.ptr()};
  for (const char* needed : {"memory", "start", "arrive"}) {
    if (py::hasattr(object_, needed)) continue;
    throw py::type_error(fmt::format("{} has no {}(), expected a tardigrad.Method", class_name_, needed));
  }
  py::setattr(object_, "workers", py::int_(options.workers));
  py::setattr(object_, "lr", py::float_(options.lr));
  py::setattr(object_, "seed", py::int_(options.seed));
  py::list times;
  for (const double time : options.compute_times) times.append(time);
  py::setattr(object_, "compute_times", times);
  arrive_ = object_.attr("arrive");
  const py::object memory = object_.attr("memory")();
  if (!py::isinstance<ServerMemory>(memory)) {
    throw py::type_error(
        fmt::format("{}.memory(): expected a tardigrad.Memory, got {}", class_name_, type_name(memory)));
  }
  memory_ = memory.cast<ServerMemory>();
  if (memory_.tables < 0 || memory_.tables > 2) {
    throw py::value_error(
        fmt::format("{}.memory(): {} tables, expected 0, 1 or 2", class_name_, memory_.tables));
  }
  if (memory_.corrected && (memory_.tables == 0 || !memory_.mean)) {
    throw py::value_error(class_name_ + ".memory(): a corrected mean needs a table and a mean");
  }
  if (memory_.kept_rows < 0 || (memory_.kept_rows > 0 && !memory_.corrected)) {
    throw py::value_error(fmt::format("{}.memory(): {} kept rows, expected 0, or more with corrected=True",
                                      class_name_, memory_.kept_rows));
  }
  release.done = true;
}

PythonMethod::~PythonMethod() {
  const InterpreterLock lock;
  in_use().erase(object_.ptr());
  object_ = {};
  arrive_ = {};
}

void PythonMethod::start(Actions& actions) {
  const InterpreterLock lock;
  jobs_.assign(static_cast<std::size_t>(workers_), 0);
  lost_.assign(static_cast<std::size_t>(workers_), false);
  jobs_in_all_ = 0;
  arrivals_since_step_ = 0;
  take(object_.attr("start")(), {class_name_, "start"}, actions);
}

void PythonMethod::arrive(const Arrival& arrival, Actions& actions) {
  const InterpreterLock lock;
  --jobs_.at(static_cast<std::size_t>(arrival.worker));
  --jobs_in_all_;
  ++arrivals_since_step_;
  const CallbackName what{class_name_, "arrive", arrival.worker};
  has_gradient_ = true;
  take(arrive_(arrival), what, actions);
  has_gradient_ = false;
  // More than any rule that is meant to step lets pass.
  const std::uint64_t most = std::max<std::uint64_t>(100'000, 1000 * static_cast<std::uint64_t>(workers_));
  if (arrivals_since_step_ < most) return;
  throw py::value_error(
      fmt::format("{}: no Step in {} arrivals, expected one now and then", what.text(), most));
}

void PythonMethod::lose(int worker, Actions& actions) {
  const InterpreterLock lock;
  jobs_in_all_ -= std::exchange(jobs_.at(static_cast<std::size_t>(worker)), 0);
  lost_.at(static_cast<std::size_t>(worker)) = true;
  take(object_.attr("lose")(worker), {class_name_, "lose", worker}, actions);
}

void PythonMethod::regain(int worker, Actions& actions) {
  const InterpreterLock lock;
  lost_.at(static_cast<std::size_t>(worker)) = false;
  take(object_.attr("regain")(worker), {class_name_, "regain", worker}, actions);
}

void PythonMethod::take(const py::object& wanted, const CallbackName& what, Actions& actions) {
  if (!py::isinstance<py::list>(wanted) && !py::isinstance<py::tuple>(wanted)) {
    throw py::type_error(
        fmt::format("{}: expected a list of actions, got {}", what.text(), type_name(wanted)));
  }
  for (const py::handle& object : wanted) {
    Action action;
    if (!read_action(object, action)) {
      throw py::type_error(
          fmt::format("{}: {} is no action of tardigrad's", what.text(), std::string(py::repr(object))));
    }
    if (!has_gradient_) require_no_gradient(action, what);
    check(action, what);
    actions.push_back(action);
  }
  const bool someone_works = std::ranges::find(lost_, false) != lost_.end();
  if (someone_works && jobs_in_all_ == 0) {
    throw py::value_error(what.text() +
                          ": no worker has a job now, so nothing more would come; expected a HandOver");
  }
}

void PythonMethod::check(const Action& action, const CallbackName& what) {
  const auto require_finite = [&](double value, const char* name) {
    if (!std::isfinite(value)) {
      throw py::value_error(fmt::format("{}: {} {}, expected a finite number", what.text(), name, value));
    }
  };
  check_use_of_tables(action, what);
  if (const auto* fold = std::get_if<FoldRow>(&action)) {
    require_worker(fold->worker, what);
    require_finite(static_cast<double>(fold->weight), "weight");
  }
  if (const auto* count = std::get_if<CountRow>(&action)) require_worker(count->worker, what);
  if (const auto* sum = std::get_if<Accumulate>(&action)) {
    require_finite(static_cast<double>(sum->weight), "weight");
  }
  if (const auto* correct = std::get_if<Correct>(&action)) {
    require_worker(correct->worker, what);
    require_finite(static_cast<double>(correct->weight), "weight");
    check_kept_rows(*correct, what);
  }
  if (const auto* scale = std::get_if<ScaleMean>(&action)) require_finite(scale->factor, "factor");
  if (const auto* step = std::get_if<Step>(&action)) {
    require_finite(step->scale, "scale");
    arrivals_since_step_ = 0;
  }
  if (const auto* to = std::get_if<HandOver>(&action)) check_hand_over(to->worker, what);
  if (const auto* gone = std::get_if<Discard>(&action)) {
    require_worker(gone->worker, what);
    int& jobs = jobs_[static_cast<std::size_t>(gone->worker)];
    if (jobs == 0) {
      throw py::value_error(fmt::format("{}: Discard({}), which has no job", what.text(), gone->worker));
    }
    --jobs;
    --jobs_in_all_;
  }
}

void PythonMethod::check_hand_over(int worker, const CallbackName& what) {
  require_worker(worker, what);
  int& jobs = jobs_[static_cast<std::size_t>(worker)];
  if (lost_[static_cast<std::size_t>(worker)]) {
    throw py::value_error(fmt::format("{}: HandOver({}), which is lost", what.text(), worker));
  }
  if (memory_.jobs != JobSpread::anywhere && jobs > 0) {
    throw py::value_error(
        fmt::format("{}: HandOver({}), which still computes; expected a worker without a job, "
                    "or Memory(jobs=\"anywhere\")",
                    what.text(), worker));
  }
  if (jobs_in_all_ >= workers_) {
    throw py::value_error(fmt::format("{}: HandOver({}) would make more than {} jobs in flight, one a worker",
                                      what.text(), worker, workers_));
  }
  ++jobs;
  ++jobs_in_all_;
}

void PythonMethod::check_use_of_tables(const Action& action, const CallbackName& what) const {
  const auto require = [&](bool holds, const char* needed) {
    if (!holds) throw py::value_error(fmt::format("{}: it needs Memory({})", what.text(), needed));
  };
  if (const auto* fold = std::get_if<FoldRow>(&action)) {
    require(memory_.tables >= (fold->table == Table::next ? 2 : 1),
            fold->table == Table::next ? "tables=2" : "tables=1");
    if (fold->table == Table::next && fold->update_mean) {
      throw py::value_error(what.text() +
                            ": FoldRow of the next table moves no mean, expected update_mean=False");
    }
    require(memory_.mean || !fold->update_mean, "mean=True");
  }
  if (std::holds_alternative<SwapTables>(action)) require(memory_.tables == 2, "tables=2");
  if (const auto* count = std::get_if<CountRow>(&action)) {
    require(memory_.tables >= 1, "tables=1");
    require(memory_.mean || !count->update_mean, "mean=True");
  }
  if (std::holds_alternative<Correct>(action)) require(memory_.corrected, "corrected=True");
  if (std::holds_alternative<AverageRows>(action)) {
    require(memory_.tables >= 1 && memory_.mean, "tables=1, mean=True");
  }
  if (std::holds_alternative<Accumulate>(action) || std::holds_alternative<ScaleMean>(action)) {
    require(memory_.mean, "mean=True");
  }
}

void PythonMethod::check_kept_rows(const Correct& correct, const CallbackName& what) const {
  for (const std::optional<int>& row : {correct.keep, correct.kept}) {
    if (row && (*row < 0 || *row >= memory_.kept_rows)) {
      throw py::value_error(
          fmt::format("{}: kept row {}, of Memory(kept_rows={})", what.text(), *row, memory_.kept_rows));
    }
  }
  if (correct.kept && (correct.keep || correct.restart)) {
    throw py::value_error(what.text() +
                          ": Correct with kept goes on with a row, expected neither keep nor restart");
  }
}

void PythonMethod::require_no_gradient(const Action& action, const CallbackName& what) const {
  const bool needs = std::holds_alternative<FoldRow>(action) || std::holds_alternative<Accumulate>(action) ||
                     std::holds_alternative<Correct>(action) ||
                     (std::holds_alternative<Step>(action) && !memory_.mean);
  if (needs) throw py::value_error(what.text() + ": no gradient has arrived that this action could use");
}

void PythonMethod::require_worker(int worker, const CallbackName& what) const {
  if (worker >= 0 && worker < workers_) return;
  throw py::value_error(fmt::format("{}: worker {}, expected 0 to {}", what.text(), worker, workers_ - 1));
}

void PythonMethod::visit_state(StateArchive& state) {
  const InterpreterLock lock;
  const py::module_ json = py::module_::import("json");
  std::string text;
  try {
    if (!state.restoring()) text = py::str(json.attr("dumps")(object_.attr("state")));
    state.text("python", text);
    if (state.restoring()) py::setattr(object_, "state", json.attr("loads")(text));
  } catch (const py::error_already_set&) {
    throw std::invalid_argument(
        fmt::format("{}.state: expected what JSON can hold: {}", class_name_, line_of_current()));
  }
  state.numbers("jobs", jobs_, static_cast<std::size_t>(workers_), 0, workers_);
  state.flags("lost", lost_, static_cast<std::size_t>(workers_));
  jobs_in_all_ = std::accumulate(jobs_.begin(), jobs_.end(), 0);
}

}  // namespace tardigrad
