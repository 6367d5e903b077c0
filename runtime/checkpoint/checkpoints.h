#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/checkpoint/checkpoint_folder.h"
#include "runtime/checkpoint/checkpoint_request.h"
#include "runtime/checkpoint/snapshot.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

struct CheckpointOptions {
  std::filesystem::path folder;  ///< empty: no checkpoints
  // Between two of them; at the end of the run there is one in any case.
  std::optional<std::uint64_t> every_updates;
  std::optional<double> every_s;         ///< of real time
  std::size_t keep = 3;                  ///< ≥ 1, the newest
  std::string run_json;                  ///< the run record, for whoever resumes
  CheckpointRequest* request = nullptr;  ///< outlives the run; null: nobody asks for any
};

/// Takes checkpoints of a run, one at a time, when they are due; when one cannot be written, later again.
class Checkpoints {
 public:
  /// Vectors [d] of `layout`, on that device. Throws std::invalid_argument where the folder cannot be used.
  Checkpoints(CheckpointOptions options, const ParameterLayout& layout, Device device);

  /// What a run that goes on from a checkpoint has already.
  void resumed(std::uint64_t update, std::uint64_t gradients) {
    note({CheckpointFolder::name(update, gradients), update, gradients, 0});
  }

  bool due(std::uint64_t update) const;

  /// Begins one, which answers what was asked for by now. The caller announces vectors to the snapshot and
  /// calls start().
  Snapshot& begin(const CheckpointRecord& record);
  void start(nlohmann::ordered_json state);

  bool in_progress() const { return snapshot_ != nullptr; }
  /// The one in progress has been handed all its vectors.
  void seal() { snapshot_->seal(); }

  /// What there is to say of the one in progress once it is over: nothing where it went well as before, or is
  /// in trouble as before and nobody has asked for it. After that none is in progress.
  std::optional<std::string> poll();
  /// Waits for it; after seal().
  std::optional<std::string> finish();

  /// Those in the folder.
  std::vector<std::filesystem::path> newest_first() const;

  /// The latest, once it is whole.
  std::optional<SavedCheckpoint> saved() const;

  /// Whether the latest is of this very moment and whole.
  bool has(std::uint64_t update, std::uint64_t gradients) const;

 private:
  using SteadyClock = std::chrono::steady_clock;
  void note(const CheckpointRecord& record);
  std::optional<std::string> troubled(const std::string& failure);

  CheckpointOptions options_;
  const ParameterLayout& layout_;
  CheckpointFolder folder_;
  StagingPool pool_;
  nlohmann::ordered_json run_;
  std::shared_ptr<nlohmann::ordered_json> state_;  // of the one in progress
  CheckpointRecord begun_;                         // the latest, whether it went well or not
  bool asked_ = false;                             // for that one
  SteadyClock::time_point begun_at_;
  bool whole_ = false;  // that one
  bool trouble_ = false;
  std::chrono::seconds pause_{};  // before the next try
  std::unique_ptr<Snapshot> snapshot_;
};

}  // namespace tardigrad
