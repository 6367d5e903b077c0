#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "runtime/objective/objective.h"
#include "tools/python/callback_name.h"
#include "tools/python/job_stream.h"
#include "tools/python/python_errors.h"

namespace tardigrad {

/// Says what becomes of a run where a callback of its objective raises an exception.
enum class OnError {
  raise,  ///< The run ends, and the exception goes on to whoever started it.
  lose,   ///< In wall time, the worker is taken out of the run, as with any error of a job.
};

/// Is an objective that Python computes (tardigrad.Objective says how one is written): on CPUs, and where it
/// has cuda_gradient() on GPUs. There the callback is called when a job is enqueued, and enqueues its work on
/// the job's stream. Models and gradients are views of the engine's own memory, or copied once. Where the
/// object is not `thread_safe`, one callback runs at a time.
class PythonObjective final : public Objective {
 public:
  /// Takes the object and what its errors go to, which outlives it. The interpreter's lock is held, here and
  /// in the destructor. Throws py::type_error and py::value_error for what the object lacks.
  PythonObjective(pybind11::object object, std::uint64_t seed, OnError on_error, CallbackErrors& errors);
  ~PythonObjective() override;

  const ParameterLayout& layout() const override { return layout_; }
  int workers() const override { return workers_; }
  bool runs_on(Backend backend) const override { return backend == Backend::cpu || cuda_gradient_; }
  void initialise(std::span<float> model, std::uint64_t seed) const override;
  std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream,
                                              std::span<const int> workers = {}) override;
  Evaluation evaluate(std::span<const float> model, const BreakOff& break_off = {}) override;
  double full_gradient(std::span<const float> model, std::span<double> gradient,
                       const BreakOff& break_off = {}) override;
  bool sample_gradient(std::span<const float> model, std::span<double> gradient,
                       const BreakOff& break_off = {}) override;
  std::size_t examples_per_job(int /*worker*/) const override { return 0; }
  std::size_t examples() const override { return 0; }

  bool has_full_gradient() const { return full_gradient_.has_value(); }

  /// Tells whether a callback has kept a view of a model, whose memory must then outlive the run.
  bool views_were_kept() const { return views_were_kept_; }

 private:
  class CpuEngine;
  class CudaEngine;
  class Turn;
  struct Lent;

  float compute(int worker, std::uint64_t job, std::span<const float> model, std::span<float> gradient);
  void enqueue(const JobStream& stream, int worker, std::uint64_t job, BufferRef<const float> model,
               BufferRef<float> gradient, float* loss);
  double mean_loss(std::span<const float> model, const BreakOff& break_off);
  template <typename Function>
  auto guarded(const Function& function) const;
  template <typename Function>
  void lend(const CallbackName& name, std::initializer_list<Lent> views, const Function& function) const;

  pybind11::object object_;
  pybind11::object gradient_;
  pybind11::object make_job_;
  std::optional<pybind11::object> initial_model_, evaluate_, full_gradient_, cuda_gradient_, cuda_evaluate_;
  std::string class_name_;
  std::uint64_t seed_;
  int workers_ = 0;
  bool thread_safe_ = false;
  OnError on_error_;
  CallbackErrors& errors_;
  ParameterLayout layout_;
  std::optional<Device> gpu_;  // the first worker's, where the run is on GPUs
  mutable std::mutex turn_;    // of callbacks that are not safe for threads
  mutable std::atomic<bool> views_were_kept_ = false;
};

}  // namespace tardigrad
