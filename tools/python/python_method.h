#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/methods/method.h"
#include "tools/python/callback_name.h"

namespace tardigrad {

/// Is a method that Python decides for (tardigrad.Method says how one is written). What it wants is checked
/// before the engine sees it: workers and tables that there are, hand-overs to workers that are free, and
/// that the run goes on.
class PythonMethod final : public Method {
 public:
  /// Takes the object, and tells it the options, as attributes. The interpreter's lock is held, as in the
  /// destructor. Throws py::type_error and py::value_error for what it lacks.
  PythonMethod(pybind11::object object, const MethodOptions& options);
  ~PythonMethod() override;

  ServerMemory memory() const override { return memory_; }
  void start(Actions& actions) override;
  void arrive(const Arrival& arrival, Actions& actions) override;
  void lose(int worker, Actions& actions) override;
  void regain(int worker, Actions& actions) override;

  /// Visits the object's `state`, as JSON, and which workers have jobs. Throws std::invalid_argument for a
  /// state that JSON cannot hold.
  void visit_state(StateArchive& state) override;

 private:
  void take(const pybind11::object& wanted, const CallbackName& what, Actions& actions);
  void check(const Action& action, const CallbackName& what);
  void check_hand_over(int worker, const CallbackName& what);
  void check_kept_rows(const Correct& correct, const CallbackName& what) const;
  void check_use_of_tables(const Action& action, const CallbackName& what) const;
  void require_no_gradient(const Action& action, const CallbackName& what) const;
  void require_worker(int worker, const CallbackName& what) const;

  pybind11::object object_;
  pybind11::object arrive_;
  std::string class_name_;
  int workers_;
  ServerMemory memory_;
  std::vector<int> jobs_;  // of each worker, in flight and queued
  int jobs_in_all_ = 0;
  bool has_gradient_ = false;  // one has arrived, and its actions are being taken
  std::vector<bool> lost_;
  std::uint64_t arrivals_since_step_ = 0;
};

}  // namespace tardigrad
