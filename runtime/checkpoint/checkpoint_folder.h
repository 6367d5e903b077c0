#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/checkpoint/file_lock.h"
#include "runtime/checkpoint/vector_file.h"
#include "runtime/objective/parameters.h"

namespace tardigrad {

// A checkpoint is a folder:
//   model.safetensors   the model, as --save has it
//   state.safetensors   the other vectors: tables, mean, momentum, models that jobs in flight start from
//   state.json          everything else, the run record, and `taken_at`, when, in seconds since 1970
//   manifest.json       names, lengths and checksums of these three; written last
// It is written under another name and renamed when all of it is on the disk, so that what bears the name of
// a checkpoint is whole.

/// Writes the manifest of a folder that has the three files.
void write_manifest(const std::filesystem::path& folder);

/// Writes state.json and the manifest into a folder that has the other files, and gives it its name.
void complete_checkpoint(const std::filesystem::path& unnamed, const std::filesystem::path& checkpoint,
                         const nlohmann::ordered_json& state);

/// Holds what has been read of a checkpoint; its vectors are read from its files when asked for. Copies share
/// the state.
struct Checkpoint {
  std::filesystem::path path;
  std::shared_ptr<const nlohmann::ordered_json> state_json;  ///< what state.json holds

  const nlohmann::ordered_json& state() const { return *state_json; }

  /// Reads a checkpoint. Throws std::invalid_argument naming the file and what is wrong with it: not there,
  /// cut short, changed since, of another format. Paths in the manifest cannot leave its folder.
  static Checkpoint read(const std::filesystem::path& path);

  /// Opens its vectors [dimension]. Throws std::invalid_argument if they are of another dimension.
  VectorFile vectors(std::size_t dimension) const;
  void read_model(const ParameterLayout& layout, std::span<float> model) const;
};

/// Manages the folder of `--checkpoint-dir`, with checkpoints named after the updates and gradients so far.
/// One run at a time uses it.
class CheckpointFolder {
 public:
  /// Creates the folder if need be, locks it, and removes what runs that were killed have left half-written.
  /// Throws std::invalid_argument naming the folder if it cannot be written or is in use. Where its file
  /// system has no locks, a line on stderr says so.
  explicit CheckpointFolder(std::filesystem::path path);
  CheckpointFolder(const CheckpointFolder&) = delete;
  CheckpointFolder& operator=(const CheckpointFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  /// Returns the checkpoints in a folder, oldest first, and none where there is no such folder. Throws
  /// std::invalid_argument if it cannot be read.
  static std::vector<std::filesystem::path> list(const std::filesystem::path& path);

  /// Returns the name "update-1000-gradient-1009".
  static std::string name(std::uint64_t updates, std::uint64_t gradients);

  /// Returns the updates in such a name, and nothing where it is none.
  static std::optional<std::uint64_t> update_of(const std::string& name);

  /// Returns where a checkpoint of that name is written before it is complete.
  std::filesystem::path unnamed(const std::string& name) const { return path_ / ("." + name + ".partial"); }

  /// Removes all but the newest `keep` checkpoints. A checkpoint that is being removed is none any more. What
  /// cannot be removed is left for the next time.
  void prune(std::size_t keep) const;

 private:
  std::filesystem::path path_;
  std::optional<FileLock> lock_;
};

}  // namespace tardigrad
