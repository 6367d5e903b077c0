#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/checkpoint/checkpoint_folder.h"
#include "runtime/checkpoint/checkpoint_request.h"
#include "runtime/checkpoint/file_snapshot.h"
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

/// A run, as its checkpoints see it.
class SavedRun {
 public:
  SavedRun() = default;
  SavedRun(const SavedRun&) = delete;
  SavedRun& operator=(const SavedRun&) = delete;
  virtual ~SavedRun() = default;

  /// Returns where the run is, and what a checkpoint of it is called.
  virtual CheckpointRecord position() const = 0;

  /// Returns whether a checkpoint can begin now; if not, it can after some later update.
  virtual bool at_rest() const = 0;

  /// Waits until everything is done that is under way.
  virtual void settle() = 0;

  /// Announces all vectors to the snapshot, and returns what else the run needs to go on from here.
  virtual nlohmann::ordered_json save(Snapshot& snapshot) = 0;

  /// Hands up to so many more of them to the snapshot, and returns how many there were.
  virtual std::size_t save_more(std::size_t vectors) = 0;
};

/// Takes checkpoints of a run, one at a time, when they are due; when one cannot be written, later again.
/// Each goes through three phases, of which only the first holds up the run: the state is taken, vectors are
/// handed over a few at a time, and a thread writes what is left.
class Checkpoints {
 public:
  /// Vectors are those [d] of `layout`, on that device. The observers are told of every checkpoint that
  /// begins or is whole, and of trouble. All references outlive it. Throws std::invalid_argument where the
  /// folder cannot be used.
  Checkpoints(CheckpointOptions options, const ParameterLayout& layout, Device device, SavedRun& run,
              RunObserver& observers);

  /// The run goes on from a checkpoint, and needs no other of this moment.
  void resumed() { note(run_.position()); }

  /// Begins a checkpoint of a run with so many updates if one is due, or goes on with the one in progress.
  void save_if_due(std::uint64_t updates);

  /// Waits for the one in progress, and takes one of the run as it is now if there is none yet, so that a
  /// longer run can go on from here. Where a device fails meanwhile, there is the one before.
  void save_the_end();

  /// Returns those in the folder.
  std::vector<std::filesystem::path> newest_first() const;

 private:
  using SteadyClock = std::chrono::steady_clock;
  bool in_progress() const { return snapshot_ != nullptr; }
  bool due(std::uint64_t updates) const;
  void note(const CheckpointRecord& record);
  void begin();
  void hand_over_more();
  void finish();
  std::optional<std::string> outcome(const std::optional<std::string>& failure);
  std::optional<std::string> troubled(const std::string& failure);

  CheckpointOptions options_;
  const ParameterLayout& layout_;
  CheckpointFolder folder_;
  StagingPool pool_;
  SavedRun& run_;
  RunObserver& observers_;
  CheckpointRecord begun_;  // the latest, whether it went well or not
  bool asked_ = false;      // for that one
  SteadyClock::time_point begun_at_;
  bool whole_ = false;  // that one
  bool trouble_ = false;
  std::chrono::seconds pause_{};  // before the next try
  bool sealed_ = false;           // the one in progress has all its vectors
  std::unique_ptr<FileSnapshot> snapshot_;
};

}  // namespace tardigrad
