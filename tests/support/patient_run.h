#pragma once

#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad::testing {

/// Lets a run get no further behind the beginning of a checkpoint than so many arrivals before that is on the
/// disk. By then it must have handed over all vectors of the checkpoint.
class PatientRun final : public RunObserver {
 public:
  explicit PatientRun(std::filesystem::path folder, int most_arrivals = 12)
      : folder_(std::move(folder)), most_arrivals_(most_arrivals) {}

  void on_checkpoint(const CheckpointRecord& record) override {
    latest_ = record.name;
    arrivals_ = 0;
  }
  void on_arrival(const JobRecord&) override {
    if (latest_.empty() || ++arrivals_ != most_arrivals_) return;
    while (!std::filesystem::exists(folder_ / latest_)) std::this_thread::yield();
  }

 private:
  std::filesystem::path folder_;
  int most_arrivals_;
  std::string latest_;
  int arrivals_ = 0;
};

}  // namespace tardigrad::testing
