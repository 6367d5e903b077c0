// Scripts of `--events FILE`, and what they make of the workers' jobs.
#include "runtime/events/event_script.h"

#include <cmath>

#include "tests/fuzz/input.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr int workers = 3;
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::taken_or_refused([&] {
    const EventScript speeds = EventScript::read(file.path(), workers);
    for (int worker = 0; worker < workers; ++worker) {
      for (const double start : {0.0, 1.0, 100.0, 1e300}) {
        const double end = speeds.end_time(worker, start, 2.5);
        fuzz::require(end >= start, "a job that ends after it began");
        fuzz::require(speeds.slowdown(worker, start) > 0, "a slowdown");
      }
    }
    double before = 0;
    for (const EventScript::Change& change : speeds.changes()) {
      fuzz::require(change.worker >= 0 && change.worker < workers, "a worker of the run");
      fuzz::require(change.time >= before, "changes in the order of their times");
      before = change.time;
    }
  });
  return 0;
}
