#pragma once

#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Says on stderr, after the first update or at the end of a run without one, what starting took
/// (runtime/device/start_times.h).
class StartTimings final : public RunObserver {
 public:
  void on_update(const UpdateRecord& record) override;
  void on_summary(const RunSummary& summary) override;

 private:
  void tell();

  bool told_ = false;
};

}  // namespace tardigrad
