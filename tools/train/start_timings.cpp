#include "tools/train/start_timings.h"

#include "runtime/base/say.h"
#include "runtime/device/start_times.h"

namespace tardigrad {

void StartTimings::on_update(const UpdateRecord&) { tell(); }
void StartTimings::on_summary(const RunSummary&) { tell(); }

void StartTimings::tell() {
  if (told_) return;
  told_ = true;
  say_line("--timings: {}", StartTimes::of_process().end());
}

}  // namespace tardigrad
