// Recordings, as `--replay FILE` reads them and as `--compute-time trace:FILE` does.
#include <cmath>
#include <limits>
#include <stop_token>

#include "runtime/events/delays.h"
#include "runtime/events/replayed_events.h"
#include "tests/fuzz/input.h"

using namespace tardigrad;

namespace {

constexpr int workers = 3;

void replay(const std::string& path) {
  Recording recording(path);
  ReplayedEvents clock(recording, workers);
  for (int worker = 0; worker < workers; ++worker) clock.start_job(worker, 0);
  double before = 0;
  while (const auto arrived = clock.next(std::numeric_limits<double>::infinity(), {})) {
    fuzz::require(arrived->worker >= 0 && arrived->worker < workers, "a worker of the run");
    fuzz::require(std::isfinite(arrived->time), "finite times");
    if (arrived->kind != EventSource::Kind::end_of_job) continue;
    fuzz::require(arrived->time >= before, "times in their order");
    before = arrived->time;
    clock.start_job(arrived->worker, 1);
  }
}

void trace(const std::string& path) {
  const Delays delays = Delays::parse("trace:" + path, workers, 1);
  for (int worker = 0; worker < workers; ++worker) {
    const double time = delays.duration(worker, 12345);
    fuzz::require(time > 0 && std::isfinite(time), "positive times");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::taken_or_refused([&] { replay(file.path()); });
  fuzz::taken_or_refused([&] { trace(file.path()); });
  return 0;
}
