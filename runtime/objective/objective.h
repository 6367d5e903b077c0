#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/base/break_off.h"
#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"
#include "runtime/objective/parameters.h"

namespace tardigrad {

/// Holds what evaluating a model gives.
struct Evaluation {
  double loss = 0;                      ///< mean over the held-out examples; f(x) where there are no examples
  std::optional<double> accuracy = {};  ///< share of held-out examples classified rightly, in [0, 1]
  /// Holds the accuracy of each class, and nothing for one without held-out examples. It is empty where there
  /// is no accuracy.
  std::vector<std::optional<double>> class_accuracy = {};
  std::optional<double> objective = {};         ///< f(x), over the training examples (full_gradient)
  std::optional<double> gradient_norm_sq = {};  ///< ||∇f(x)||², likewise
};

/// Names a job whose gradient is to be computed together with others: ∇f_worker(model; its minibatch of that
/// number). Both vectors are [d], on the stream's device.
struct GradientJob {
  int worker;
  std::uint64_t number;
  BufferRef<const float> model;
  BufferRef<float> gradient;
};

/// Computes minibatch gradients on one stream. Owns the scratch for that (activations, the gathered
/// minibatch), so workers that share a stream may share one: the stream keeps their jobs apart. An engine
/// outlives what it has enqueued.
class GradientEngine {
 public:
  GradientEngine() = default;
  GradientEngine(const GradientEngine&) = delete;
  GradientEngine& operator=(const GradientEngine&) = delete;
  virtual ~GradientEngine() = default;

  /// Enqueues drawing and gathering the minibatch of a worker's job, which does not depend on the model. The
  /// minibatch is a function of (seed, worker, job) alone. enqueue_gradient() of the same worker follows.
  virtual void enqueue_minibatch(int worker, std::uint64_t job) = 0;

  /// Enqueues gradient ← ∇f_worker(model; minibatch) and *loss ← f_worker(model; minibatch). Both vectors are
  /// [d], on the stream's device; `loss` is one float that the device can write (PinnedBuffer).
  virtual void enqueue_gradient(int worker, BufferRef<const float> model, BufferRef<float> gradient,
                                float* loss) = 0;

  /// Enqueues the minibatches and gradients of several jobs, each with the bits that enqueue_minibatch() and
  /// enqueue_gradient() give it: up to Objective::gradients_at_once() of them. losses[k] is that of job k,
  /// likewise. It calls `wait_for_models` once, before it enqueues what reads a model or writes a gradient.
  virtual void enqueue_gradients(std::span<const GradientJob> jobs, float* losses,
                                 const std::function<void()>& wait_for_models) {
    wait_for_models();
    for (const GradientJob& job : jobs) {
      enqueue_minibatch(job.worker, job.number);
      enqueue_gradient(job.worker, job.model, job.gradient, losses++);
    }
  }
};

/// Says what an engine takes of its device's memory, and what all engines of a device share, in bytes.
struct EngineMemory {
  std::size_t shared_bytes = 0;
  std::size_t engine_bytes = 0;
};

/// Is what is minimised: f(x) = 1/n Σ f_i(x) over a flat parameter vector x, worker i drawing gradients of
/// f_i.
class Objective {
 public:
  Objective() = default;
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;
  virtual ~Objective() = default;

  virtual const ParameterLayout& layout() const = 0;
  std::size_t dimension() const { return layout().dimension(); }

  /// Returns n, the number of workers.
  virtual int workers() const = 0;

  /// Tells whether its gradients can be computed on that backend.
  virtual bool runs_on(Backend backend) const = 0;

  /// Writes x⁰ [d] into host memory.
  virtual void initialise(std::span<float> model, std::uint64_t seed) const = 0;

  /// Makes the engine of a stream, for the jobs of these workers; where `workers` is empty, of all. What an
  /// engine needs can depend on whose jobs it computes.
  virtual std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream,
                                                      std::span<const int> workers = {}) = 0;

  /// Returns how many gradients an engine for all workers computes at once sooner than one after another, by
  /// enqueue_gradients(); 1 where it does not.
  virtual std::size_t gradients_at_once(Backend) const { return 1; }

  /// Says what an engine for these workers would take; where `workers` is empty, for all.
  virtual EngineMemory engine_memory(Device, std::span<const int> /*workers*/ = {}) const { return {}; }

  /// Evaluates a model [d] in host memory: on the host, with as many threads as there is hardware, and a
  /// result that does not depend on how many; or on a GPU, on a stream of its own, and then DeviceError may
  /// be thrown. Throws BrokenOff soon after it is time to. It is not called from two threads at once.
  virtual Evaluation evaluate(std::span<const float> model, const BreakOff& break_off = {}) = 0;

  /// Writes ∇f [d] at a model [d] in host memory, in float64, and returns f there, both without the noise of
  /// minibatches; with an empty `gradient` it only returns f. It computes on the host whatever the backend,
  /// with a result that does not depend on the number of threads. Throws BrokenOff as evaluate() does, and
  /// std::logic_error where the objective has none. It is not called from two threads at once.
  virtual double full_gradient(std::span<const float> /*model*/, std::span<double> /*gradient*/,
                               const BreakOff& /*break_off*/ = {}) {
    throw std::logic_error("this objective has no full gradient");
  }

  /// Writes ∇f [d] as a small sample of the training examples has it, always the same one, at a model [d] in
  /// host memory: its differences show how smooth f is (estimate_smoothness). It computes on the host
  /// whatever the backend. Throws BrokenOff as evaluate() does. Returns false, and writes nothing, where the
  /// objective has none.
  virtual bool sample_gradient(std::span<const float> /*model*/, std::span<double> /*gradient*/,
                               const BreakOff& /*break_off*/ = {}) {
    return false;
  }

  /// Returns how many examples a job of the worker looks at, as examples() returns those in all; 0 where
  /// there are none. An epoch is as many jobs as it takes to look at as many examples as there are.
  virtual std::size_t examples_per_job(int worker) const = 0;
  virtual std::size_t examples() const = 0;
};

}  // namespace tardigrad
