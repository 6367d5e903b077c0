#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/events/recording.h"
#include "tests/support/chain.h"
#include "tests/support/experiment.h"

namespace tardigrad::testing {

/// A run on Chain, on all devices of a backend (two of the CPU).
struct ChainRun {
  ChainRun(Backend backend, const std::string& name, const RunOptions& run_options,
           const std::string& compute_time = "measured")
      : method_name(name),
        delays(Delays::parse(compute_time, workers, 0)),
        options(run_options),
        devices(parse_devices(backend == Backend::cpu ? "cpu:2" : "cuda")) {
    options.lr = 0.1;
  }

  RunSummary go(RunObserver* observer = nullptr, Recording* replay = nullptr) {
    Chain objective(workers, dimension);
    const auto method = make_method(method_name, {.workers = workers});
    std::vector<RunObserver*> all = observers;
    all.insert(all.begin(), &recorder);
    if (observer) all.push_back(observer);
    model.assign(dimension, 1.0F);
    Coordinator coordinator(
        objective, *method,
        make_execution(objective, method->memory(), delays, speeds, devices, options, replay), options, all);
    return coordinator.run(model, enough.get_token());
  }

  static constexpr int workers = 6;
  static constexpr std::size_t dimension = 331;
  std::string method_name;
  Delays delays;
  EventScript speeds;
  RunOptions options;
  std::vector<Device> devices;
  std::stop_source enough;
  std::vector<RunObserver*> observers;
  Recorder recorder;
  std::vector<float> model;
};

/// Ends a run when a worker has sent so many gradients.
class StopsAfterArrivals final : public RunObserver {
 public:
  StopsAfterArrivals(ChainRun& run, int worker, int arrivals) : run_(run), worker_(worker), left_(arrivals) {}
  void on_arrival(const JobRecord& record) override {
    if (record.worker == worker_ && --left_ == 0) run_.enough.request_stop();
  }

 private:
  ChainRun& run_;
  int worker_;
  int left_;
};

}  // namespace tardigrad::testing
