#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/telemetry/json_lines.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Writes what came to the coordinator, in its order: all that a run depends on besides its configuration.
/// The file is JSON lines: a `run` record that the caller gives; then `arrival` records of worker, job (with
/// the seed the key of its minibatch), version, time and compute_time; `discarded` where the wall clock heard
/// of the end of a job thrown away earlier; `lost` and `back` of workers, with time and reason; `checkpoint`
/// records; `end` at the end. A recording with a hole would be of no use: where the disk has been full for
/// too long it stops, and lacks its `end`.
class RunRecorder final : public RunObserver {
 public:
  /// Begins a recording. `run_json` is an object with the members of the run record. Throws
  /// std::invalid_argument if the file cannot be written.
  ///
  /// With `after` the run goes on from that checkpoint, and so does its recording: what stands behind the
  /// checkpoint's line is removed. Where the line is not found, nothing is recorded, which is said on stderr.
  RunRecorder(const std::filesystem::path& path, const std::string& run_json,
              const std::optional<CheckpointRecord>& after = {}, OutputFile::Limits limits = default_limits);

  void on_arrival(const JobRecord& record) override;
  void on_discarded_over(int worker, double time) override;
  void on_checkpoint(const CheckpointRecord& record) override;
  void on_worker_change(const WorkerChange& change) override;
  void on_summary(const RunSummary&) override;

  static constexpr OutputFile::Limits default_limits = {.waiting_bytes = std::size_t{64} << 20};

 private:
  void write(const std::string& line);

  std::optional<JsonLines> file_;
  bool whole_ = true;  // so far
};

/// Reads a file of RunRecorder from front to back.
class Recording {
 public:
  /// Opens the file. Throws std::invalid_argument naming it, and the option that it is for, if it cannot be
  /// read or does not begin with a run record.
  explicit Recording(std::string path, std::string flag = "--replay");

  /// Returns the run record, as a JSON object.
  const std::string& run_json() const { return run_json_; }

  /// Tells whether it was made in wall time.
  bool wall() const { return wall_; }

  struct Event {
    enum class Kind { arrival, discarded_over, lost, back };
    Kind kind = Kind::arrival;
    JobRecord record;    ///< of an arrival; of others worker and time
    std::string reason;  ///< of lost and back
  };

  /// Tells whether it ended without the record that says so: its run was killed, or could not write it.
  bool is_cut_off() const { return cut_off_; }

  /// Reads the next event. Returns nothing at the end, or where the file breaks off. Throws
  /// std::invalid_argument naming file and line.
  std::optional<Event> next();

  /// Returns "FLAG FILE:LINE: ", the place of the event returned last.
  std::string place() const;

 private:
  Event event_of(const nlohmann::json& json);

  std::string path_;
  std::string flag_;
  std::ifstream file_;
  std::uint64_t line_ = 0;
  double latest_time_ = 0;
  std::string run_json_;
  bool wall_ = false;
  bool cut_off_ = false;
};

}  // namespace tardigrad
