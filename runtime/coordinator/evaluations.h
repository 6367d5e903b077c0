#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "runtime/base/break_off.h"
#include "runtime/base/state_archive.h"
#include "runtime/checkpoint/snapshot.h"
#include "runtime/checkpoint/vector_file.h"
#include "runtime/coordinator/learning_rate.h"
#include "runtime/coordinator/run_options.h"
#include "runtime/objective/objective.h"
#include "runtime/server/parameter_server.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Evaluates models of a run, knows when the next evaluation is due, and keeps in host memory what a run goes
/// back to when its losses cease to be finite: the model evaluated last, and one of the updates since.
class Evaluations {
 public:
  /// Both outlive it.
  Evaluations(Objective& objective, const RunOptions& options)
      : objective_(objective), options_(options), model_(objective.dimension()) {}

  /// Takes the first model [d].
  void begin_with(std::span<const float> model) { model_.assign(model.begin(), model.end()); }

  /// Plans the first evaluation by time, if there are to be any and none is planned.
  void plan_first();
  /// Plans the next evaluation by time behind one that was due at `time`, if it was due by time.
  void plan_next(double time);
  /// Plans the next evaluation by time of a run that goes on at `now`.
  void plan_on(double now);

  bool due(const RunPosition& position) const;
  /// Returns how many updates there are until one is due by their number.
  std::uint64_t updates_left(const RunPosition& position) const;
  /// Returns when the next one is due by time.
  double next_time() const { return next_time_; }

  /// Evaluates the model [d] of that position; calls `look_at_table` once its loss is known. Throws
  /// BrokenOff, NumberNotFinite where its loss is not, and what that call throws.
  EvaluationRecord evaluate(std::span<const float> model, const RunPosition& position,
                            const std::function<void()>& look_at_table, const BreakOff& break_off) const;

  /// Takes an evaluation as the latest, that of `model`.
  void accept(const EvaluationRecord& record, std::vector<float> model);

  /// Returns the model [d] evaluated last, or what the run began with.
  const std::vector<float>& model() const { return model_; }
  bool any() const { return latest_.has_value(); }
  const EvaluationRecord& latest() const { return latest_.value(); }

  /// Tells whether the model of that version is to be kept in case that losses cease to be finite.
  bool keep_due(std::uint64_t version) const { return version >= kept_version_ + options_.keep_model_every; }
  /// Keeps the server's model, of that version.
  void keep(ParameterServer& server, std::uint64_t version);

  /// Leaves in `model` [d] the newest that the host has, and returns its update.
  std::uint64_t newest_on_host(std::span<float> model) const;

  /// Makes model() the newest one that is older than `version`, whose loss was not finite, and finite itself:
  /// the latest evaluated, one kept since, or that of a checkpoint. Returns its update.
  std::optional<std::uint64_t> go_back_before(std::uint64_t version,
                                              std::span<const std::filesystem::path> checkpoints,
                                              const BreakOff& break_off);

  /// Visits what is known besides the models.
  void visit_state(StateArchive& state);
  /// Saves the models.
  void save(Snapshot& snapshot) const;
  /// Takes the saved models; `newest` is the run's, of that version.
  void restore(VectorFile& vectors, const std::vector<float>& newest, std::uint64_t version);

 private:
  void evaluate_objective(std::span<const float> model, const BreakOff& break_off,
                          Evaluation& evaluation) const;
  bool has_finite_loss(std::span<const float> model, const BreakOff& break_off) const;

  Objective& objective_;
  const RunOptions& options_;
  double next_time_ = EventSource::never;
  std::vector<float> model_;
  std::optional<EvaluationRecord> latest_;
  std::vector<float> kept_model_;   // of an update since the latest evaluation; empty: none
  std::uint64_t kept_version_ = 0;  // of that, or of the latest evaluation
};

}  // namespace tardigrad
