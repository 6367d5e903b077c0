#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "runtime/checkpoint/checkpoint_folder.h"
#include "runtime/checkpoint/checkpoints.h"
#include "runtime/coordinator/coordinator.h"

namespace tardigrad {

/// Saves a run into checkpoints, and puts a run where one was taken.
class Coordinator::State final : public SavedRun {
 public:
  explicit State(Coordinator& run) : run_(run) {}

  CheckpointRecord position() const override;
  bool at_rest() const override;
  void settle() override { run_.records_.settle(); }
  nlohmann::ordered_json save(Snapshot& snapshot) override;
  std::size_t save_more(std::size_t vectors) override;

  /// Puts the run where the checkpoint was taken (Coordinator::resume).
  void restore(const Checkpoint& checkpoint);

 private:
  void visit_run(StateArchive& state);
  void visit_workers(StateArchive& state);
  bool restore_coordinator(StateArchive& state);
  void restore_models(const Checkpoint& checkpoint, const std::vector<std::uint64_t>& versions,
                      ParameterServer::Restored what);
  void restore_observers(StateArchive& state, const std::filesystem::path& checkpoint);
  void go_on_with_jobs();
  void require_ends() const;
  void begin_with_other_workers();

  Coordinator& run_;
};

}  // namespace tardigrad
