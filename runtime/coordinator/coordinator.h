#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "runtime/base/break_off.h"
#include "runtime/checkpoint/checkpoints.h"
#include "runtime/coordinator/evaluations.h"
#include "runtime/coordinator/job_book.h"
#include "runtime/coordinator/learning_rate.h"
#include "runtime/coordinator/membership.h"
#include "runtime/coordinator/record_queue.h"
#include "runtime/coordinator/run_errors.h"
#include "runtime/coordinator/run_options.h"
#include "runtime/execution/execution.h"
#include "runtime/methods/method.h"
#include "runtime/objective/objective.h"
#include "runtime/telemetry/observers.h"

namespace tardigrad {

/// Runs a method: hears from the event source what comes next, asks the method what it means, has the
/// executor do it, starts the next jobs. It decides and never touches a gradient.
///
/// In virtual time the order of arrivals does not depend on the computing, so the coordinator runs ahead of
/// it; losses, and the records that hold them, follow in order.
///
/// Workers that the script fails are taken out of the run until it has them back: their jobs are thrown away,
/// nothing is handed to them, and the method makes of it what it will. In wall time so are workers whose
/// device or stream fails, for good, and those that hang, until their job comes to its end after all. In
/// virtual time what a job throws ends the run: the coordinator has run ahead of it.
class Coordinator {
 public:
  /// All references and observers outlive the coordinator; the execution is made for the objective and for
  /// what the method keeps. Throws std::invalid_argument where the folder of the checkpoints cannot be used.
  Coordinator(Objective& objective, Method& method, Execution execution, const RunOptions& options,
              std::vector<RunObserver*> observers);
  ~Coordinator();  // the executor waits for whatever still runs
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  /// Makes run() continue from a checkpoint. Call it at most once, before run(). Where the checkpoint is of
  /// another number of workers, the run continues from the model and the momentum alone, and the method
  /// begins anew. Throws std::invalid_argument where the checkpoint does not fit.
  void resume(const Checkpoint& checkpoint);

  /// Trains from `model` [d] (host memory) and leaves the final model there. Call once. A requested stop ends
  /// the run as a limit does, but that evaluations are broken off: checkpoint and model are saved first
  /// (RunOptions::save_first), and of the last model there is an evaluation only if it takes no more than
  /// last_evaluation_takes_at_most. Throws StoppedEarlyError. Throws DeviceLostError, with what could be
  /// saved in `model`: the newest model if the server's device still answers, else the newest that the host
  /// has. Throws NotFiniteError, with the newest model in `model` that is kept and whose losses were finite:
  /// the latest evaluated, or one kept since, in memory or in a checkpoint, that is older than the one whose
  /// loss was not. Throws WorkersLostError, with the newest model in `model`. Throws std::invalid_argument
  /// where a recording does not fit; `model` is then as it was.
  RunSummary run(std::span<float> model, const std::stop_token& stop);

  /// The last evaluation after a requested stop may take so long, counted from the end of the running
  /// gradients.
  static constexpr std::chrono::milliseconds last_evaluation_takes_at_most{1500};

  /// Returns whether a worker still hangs now that the run is over. Its job goes on, on what this refers to;
  /// the destructor waits for its end, which may never come: who cannot wait must leave all that alone and
  /// end the program by std::_Exit.
  bool hung() const { return hung_; }

 private:
  class State;  // what a checkpoint holds, and going on from it: coordinator_state.cpp
  class Lead;   // how far the executor goes ahead of the coordinator: coordinator_lead.cpp

  /// An event that is being handled: which worker it is of, and when it was.
  struct Cause {
    int worker = 0;
    double time = 0;
  };

  void begin();
  void train(const std::stop_token& stop);
  void finish(std::span<float> model, const std::stop_token& stop);
  void end_stopped(std::span<float> model);
  void handle(const EventSource::Event& event);
  void take_gradient(const EventSource::Event& event);
  void take_end_of_discarded(int worker, double time);
  std::optional<UpdateRecord> apply(const Cause& cause, std::uint64_t staleness, double lr);
  std::optional<UpdateRecord> carry_out(const Cause& cause);
  void look_after_model();
  void evaluate_if_due();
  bool evaluate();
  [[noreturn]] void end_not_finite(const NumberNotFinite& found);
  RunSummary summarise() const;

  // coordinator_lost_workers.cpp
  void take_out(int worker, Absence reason, double time, const std::string& text);
  void take_back(int worker, Absence reason, double time, const std::string& text);
  void take_out_failed();
  void take_out_hung();
  void check_progress();
  void wind_up() noexcept;

  Objective& objective_;
  Method& method_;
  RunOptions options_;
  LearningRate learning_rate_;
  StopRule stop_rule_;
  Observers observers_;
  std::unique_ptr<State> state_;
  std::unique_ptr<Lead> lead_;
  std::unique_ptr<Checkpoints> checkpoints_;  // outlives the streams, which may have its work
  Execution execution_;
  EventSource& events_;
  Executor& executor_;
  JobBook jobs_;
  Membership membership_;
  RecordQueue records_;
  Evaluations evaluations_;

  RunPosition position_;                      // but for its time, which is the event source's
  std::uint64_t staleness_since_update_ = 0;  // the largest in the direction of the next step
  Actions actions_;                           // of the method, about the event that is being handled
  Orders orders_;                             // what becomes of them
  BreakOff break_off_;                        // of evaluations
  StopReason stop_reason_ = StopReason::updates;
  bool resumed_ = false;
  bool wound_up_ = false;
  bool hung_ = false;  // some worker's job was left alone then
};

}  // namespace tardigrad
