#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Makes events of Chrome's Trace Event Format, which Perfetto reads, too, of the records of a run: a track
/// with the jobs of each worker, one with the updates of the server, one with evaluations. A slice
/// "computing" is a gradient, after a "hand-over" and before it was "queued", where those took time;
/// "discarded" is a job thrown away. Updates are drawn 100 ns wide: how long a kernel of the server took is
/// part of a hand-over.
///
/// Arrows "gradient" lead from the end of a gradient to the update that it made, or else to the next one (of
/// the latest 1,000 before an update); arrows "model" from an update to the jobs that begin on its model.
/// Both ends of an arrow lie in slices that are there.
///
/// The run is a process; one over several ranks is a process for each, with the server on rank 0.
///
/// Times are microseconds with three digits; a second of wall time is a second, and so is a unit of virtual
/// time. Slices of a track never overlap. Copies go on independently.
class TraceEvents {
 public:
  /// Begins a trace. `run_json` is an object with the members of the run record; its method, clock and
  /// command are named, and its ranks are the processes.
  explicit TraceEvents(const std::string& run_json);

  void add(const GradientRecord& record);
  void add(const UpdateRecord& record);  ///< after the gradient that made it
  void add(const JobRecord& discarded);
  void add(const EvaluationRecord& record);

  /// Says what did not come, up to `time`. No arrow crosses this.
  struct LeftOut {
    std::uint64_t gradients = 0;
    std::uint64_t updates = 0;
    std::uint64_t discarded = 0;
    double until = 0;
  };
  void add(const LeftOut& record);

  /// Returns the events since the last clear_text(): elements of a JSON array with a comma before each but
  /// the first of all.
  const std::string& text() const { return text_; }
  void clear_text() { text_.clear(); }

 private:
  struct Slice {
    std::int64_t begin_ns;
    std::int64_t end_ns;
  };
  struct Point {
    int track;
    std::int64_t time_ns;
  };
  Slice slice(int track, const char* name, std::int64_t begin_ns, std::int64_t end_ns,
              const std::string& args = {});
  void arrow(const char* name, Point from, Point to);
  void model_arrow(std::uint64_t version, int track, Slice job);
  std::int64_t& end_of(int track);
  int worker_track(int worker);
  int process_of(int track) const;
  void name_process(int process, const std::string& name);
  void name_track(int track, const std::string& name);

  std::string text_;
  std::vector<int> ranks_;             // of the workers, in a run over several
  std::vector<std::int64_t> ends_ns_;  // of each track's last slice, by track; −1: the track has no name yet
  std::uint64_t arrows_ = 0;
  double queue_time_ = 0;      // of the gradient that made the next update
  std::deque<Point> waiting_;  // ends of gradients, for arrows to the next update
  std::uint64_t first_update_ = 1;
  std::vector<std::int64_t> updates_ns_;  // where the slices of the updates from that one on begin
};

}  // namespace tardigrad
