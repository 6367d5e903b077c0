#include "runtime/events/scripted_changes.h"

#include <set>

namespace tardigrad {

EventSource::Event ScriptedChanges::take() {
  const EventScript::Change& change = changes_[next_++];
  const EventSource::Event taken{change.worker,
                                 change.lost ? EventSource::Kind::lost : EventSource::Kind::back, time_};
  find_time();
  return taken;
}

std::vector<int> ScriptedChanges::skip_to(double time) {
  std::set<int> lost;
  while (time_ <= time && time_ < EventSource::never) {
    const EventSource::Event change = take();
    if (change.kind == EventSource::Kind::lost) {
      lost.insert(change.worker);
    } else {
      lost.erase(change.worker);
    }
  }
  return {lost.begin(), lost.end()};
}

}  // namespace tardigrad
