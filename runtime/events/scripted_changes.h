#pragma once

#include <cstddef>
#include <vector>

#include "runtime/events/event_script.h"
#include "runtime/events/event_source.h"

namespace tardigrad {

/// Gives the failures and returns of workers by a script, one after another.
class ScriptedChanges {
 public:
  /// Reads the changes of `speeds`, which outlives it. Its times are in units of `time_unit` of the clock.
  explicit ScriptedChanges(const EventScript& speeds, double time_unit = 1)
      : changes_(speeds.changes()), time_unit_(time_unit) {
    find_time();
  }

  /// Returns the time of the next change, on the clock, or never if there is none.
  double time() const { return time_; }
  EventSource::Event take();

  /// Takes all changes up to a time, and returns the workers that are lost then.
  std::vector<int> skip_to(double time);

  void visit_state(StateArchive& state) {
    state.number("changes", next_, std::size_t{0}, changes_.size());
    find_time();
  }

 private:
  void find_time() {
    time_ = next_ < changes_.size() ? changes_[next_].time * time_unit_ : EventSource::never;
  }

  const std::vector<EventScript::Change>& changes_;
  double time_unit_;
  std::size_t next_ = 0;
  double time_ = 0;
};

}  // namespace tardigrad
