#include "runtime/telemetry/observers.h"

#include "runtime/base/state_archive.h"

namespace tardigrad {

void Observers::visit_state(StateArchive& state) {
  for (RunObserver* const observer : observers_) {
    const std::string name = observer->state_name();
    if (name.empty() || (state.restoring() && !state.has(name.c_str()))) continue;
    state.object(name.c_str(), [observer](StateArchive& inner) { observer->visit_state(inner); });
  }
}

}  // namespace tardigrad
