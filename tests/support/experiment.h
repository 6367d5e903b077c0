#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "runtime/coordinator/coordinator.h"

namespace tardigrad::testing {

/// f_i(x) = ½ ‖x − (i, i + 1, …)‖²: the gradient is x − i at element 0, and small numbers stay exact. Losses
/// are those of element 0. Tests can hook into each job.
class Pull final : public Objective {
 public:
  static constexpr std::size_t dimension = 5;

  explicit Pull(int workers) : workers_(workers) { layout_.add("x", {dimension}); }

  /// Runs within the gradient of each job, on the worker's stream.
  std::function<void(int worker, std::uint64_t job)> in_gradient;

  /// Runs within each evaluation, before it counts; may throw BrokenOff.
  std::function<void(const BreakOff& break_off)> in_evaluation;

  /// Minibatch m of any worker moves the gradient by noise · (m mod 16).
  float noise = 0;

  const ParameterLayout& layout() const override { return layout_; }
  int workers() const override { return workers_; }
  bool runs_on(Backend backend) const override { return backend == Backend::cpu; }
  void initialise(std::span<float> model, std::uint64_t) const override {
    std::fill(model.begin(), model.end(), 0.0F);
  }
  /// The loss is element 0 itself; the accuracy a tenth of the number of evaluations.
  Evaluation evaluate(std::span<const float> model, const BreakOff& break_off = {}) override {
    if (in_evaluation) in_evaluation(break_off);
    ++evaluations;
    return {.loss = static_cast<double>(model[0]), .accuracy = evaluations * 0.1};
  }
  std::size_t examples_per_job(int) const override { return 0; }
  std::size_t examples() const override { return 0; }

  std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream, std::span<const int> = {}) override {
    return std::make_unique<Engine>(*this, stream);
  }

  int evaluations = 0;

 private:
  class Engine final : public GradientEngine {
   public:
    Engine(Pull& owner, StreamRef stream) : owner_(owner), stream_(stream) {}
    ~Engine() override { *there_ = false; }
    void enqueue_minibatch(int worker, std::uint64_t job) override {
      stream_.host("minibatch", [this, worker, job, there = there_] {
        ASSERT_TRUE(*there) << "an engine must outlive what it has enqueued";
        minibatch_ = {worker, job};
      });
    }
    void enqueue_gradient(int worker, BufferRef<const float> model, BufferRef<float> gradient,
                          float* loss) override {
      stream_.host("gradient", [=, this] {
        const auto [drawn_for, job] = minibatch_;
        if (drawn_for != worker) throw std::logic_error("the minibatch of another worker");
        for (std::size_t e = 0; e < dimension; ++e) {
          gradient.data()[e] = model.data()[e] - static_cast<float>(worker) - static_cast<float>(e) +
                               owner_.noise * static_cast<float>(job % 16);
        }
        *loss = *gradient.data() * *gradient.data() / 2;
        if (owner_.in_gradient) owner_.in_gradient(worker, job);
      });
    }

   private:
    Pull& owner_;
    StreamRef stream_;
    std::pair<int, std::uint64_t> minibatch_;
    std::shared_ptr<std::atomic<bool>> there_ = std::make_shared<std::atomic<bool>>(true);
  };

  int workers_;
  ParameterLayout layout_;
};

/// Keeps what it is told.
class Recorder final : public RunObserver {
 public:
  void on_arrival(const JobRecord& record) override { arrivals.push_back(record); }
  void on_update(const UpdateRecord& record) override { updates.push_back(record); }
  void on_discard(const JobRecord& record) override { discards.push_back(record); }
  void on_evaluation(const EvaluationRecord& record) override { evaluations.push_back(record); }
  void on_warning(const Warning& warning) override { warnings.push_back(warning); }
  void on_checkpoint(const CheckpointRecord& record) override { checkpoints.push_back(record); }
  void on_worker_change(const WorkerChange& change) override { changes.push_back(change); }
  void on_checkpoint_saved(const SavedCheckpoint& one) override { saved.push_back(one); }
  void on_summary(const RunSummary& record) override { summary = record; }

  std::vector<JobRecord> arrivals;
  std::vector<UpdateRecord> updates;
  std::vector<JobRecord> discards;
  std::vector<EvaluationRecord> evaluations;
  std::vector<Warning> warnings;
  std::vector<CheckpointRecord> checkpoints;
  std::vector<SavedCheckpoint> saved;
  std::vector<WorkerChange> changes;
  RunSummary summary;
};

using Sequence = std::vector<std::tuple<double, int, std::uint64_t>>;

/// A run of one method on Pull. Change the members, then go().
struct Experiment {
  Experiment(int workers, const std::string& name, const std::string& compute_time,
             const RunOptions& run_options, int devices = 2)
      : objective(workers),
        method_name(name),
        method_options{.workers = workers},
        delays(Delays::parse(compute_time, workers, 0)),
        options(run_options) {
    for (int i = 0; i < devices; ++i) cpus.push_back({Backend::cpu, i});
  }

  RunSummary go(const std::stop_token& stop = {}) {
    auto method = make_method(method_name, method_options);
    if (verify) {
      auto observed = std::make_unique<VerifiedMethod>(std::move(method), method_name, method_options);
      options.verified = observed.get();
      method = std::move(observed);
    }
    std::vector<RunObserver*> all = observers;
    all.insert(all.begin(), &recorder);
    Coordinator coordinator(objective, *method, make(method->memory()), options, all);
    if (!checkpoint.empty()) coordinator.resume(Checkpoint::read(checkpoint));
    const RunSummary summary = coordinator.run(model, stop);
    if (verify) verified = options.verified->describe();
    return summary;
  }

  /// (time, worker, staleness) of every update.
  Sequence sequence() const {
    Sequence updates;
    for (const UpdateRecord& update : recorder.updates) {
      updates.emplace_back(update.time, update.worker, update.staleness);
    }
    return updates;
  }

  Pull objective;
  std::string method_name;
  MethodOptions method_options;
  Delays delays;
  EventScript speeds;
  RunOptions options;
  std::vector<Device> cpus;
  bool verify = false;
  std::string verified;  // VerifiedMethod::describe(), of a run that came to its end
  Recording* replay = nullptr;
  std::filesystem::path checkpoint;  // to go on from
  std::vector<RunObserver*> observers;
  /// Makes what the run takes place on, for a method that keeps so much.
  std::function<Execution(ServerMemory)> make = [this](ServerMemory memory) {
    return make_execution(objective, memory, delays, speeds, cpus, options, replay);
  };
  Recorder recorder;
  std::vector<float> model = std::vector<float>(Pull::dimension);
};

/// The name of a method as that of a test.
inline std::string method_title(const ::testing::TestParamInfo<std::string>& tested) {
  std::string title = tested.param;
  std::replace(title.begin(), title.end(), '-', '_');
  return title;
}

/// Gives a run what is special about its method.
inline void set_special_options(const std::string& method, MethodOptions& of_method, RunOptions& of_run) {
  if (method == "mifa") of_method.availability = 0.5;
  if (method == "fedbuff" || method == "ca2fl") of_run.job = {.local_steps = 3, .local_lr = 0.1};
}

/// A run with what is special about each method, and of inexact numbers.
struct MethodExperiment : Experiment {
  MethodExperiment(int workers, const std::string& name, const std::string& compute_time,
                   const RunOptions& run_options, int devices)
      : Experiment(workers, name, compute_time, run_options, devices) {
    objective.noise = 0.01F;
    options.lr = 0.05;
    set_special_options(name, method_options, options);
  }
};

inline RunOptions in_virtual_time(std::uint64_t updates) {
  RunOptions options;
  options.lr = 0.5;
  options.clock = ClockKind::virtual_time;
  options.max_updates = updates;
  return options;
}

inline RunOptions in_wall_time(std::uint64_t updates) {
  RunOptions options = in_virtual_time(updates);
  options.clock = ClockKind::wall;
  return options;
}

}  // namespace tardigrad::testing
