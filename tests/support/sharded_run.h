#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/coordinator/coordinator.h"
#include "runtime/server/shard.h"
#include "tests/support/chain.h"
#include "tests/support/experiment.h"

namespace tardigrad::testing {

/// Is a run of a method on Chain, with what is special about it, on all devices of a backend (two of the
/// CPU).
struct ShardedRun {
  ShardedRun(Backend backend, const std::string& name, std::size_t shards, const RunOptions& run_options)
      : method_name(name),
        method_options{.workers = workers},
        options(run_options),
        devices(parse_devices(backend == Backend::cpu ? "cpu:2" : "cuda")) {
    devices.server_shards = shards;
    options.lr = 0.05;
    options.evaluate_every_updates = 10;
    set_special_options(name, method_options, options);
    if (has_feature(name, Feature::lost_rows)) method_options.lost_rows = LostRows::drop;
  }

  virtual ~ShardedRun() = default;

  virtual void go(RunObserver* observer = nullptr, Recording* replay = nullptr) {
    Chain objective(method_options.workers, dimension, at_once);
    method_options.lr = options.lr;
    auto method = std::make_unique<VerifiedMethod>(make_method(method_name, method_options), method_name,
                                                   method_options);
    options.verified = method.get();
    std::vector<RunObserver*> observers{&recorder};
    if (observer) observers.push_back(observer);
    model.assign(dimension, 1.0F);
    Coordinator coordinator(objective, *method, execution(objective, method->memory(), replay), options,
                            observers);
    if (!checkpoint.empty()) coordinator.resume(Checkpoint::read(checkpoint));
    coordinator.run(model, stop);
  }

  /// Makes what the run takes place on: here one process.
  virtual Execution execution(Objective& objective, ServerMemory memory, Recording* replay) {
    return make_execution(objective, memory, delays, speeds, devices, options, replay);
  }

  /// (time, worker, staleness, loss) of every update.
  std::vector<std::tuple<double, int, std::uint64_t, float>> sequence() const {
    std::vector<std::tuple<double, int, std::uint64_t, float>> updates;
    for (const UpdateRecord& update : recorder.updates) {
      updates.emplace_back(update.time, update.worker, update.staleness, update.loss);
    }
    return updates;
  }

  static constexpr int workers = 4;
  static constexpr std::size_t dimension = 3 * shard_block + 331;
  std::string method_name;
  MethodOptions method_options;
  Delays delays = Delays::parse("linear:1:0.7+exponential:0.5", workers, 0);
  EventScript speeds;
  RunOptions options;
  Devices devices;
  std::size_t at_once = 1;           // gradients that the problem computes at once
  std::filesystem::path checkpoint;  // to go on from
  std::stop_token stop;
  Recorder recorder;
  std::vector<float> model;
};

/// Is a suite of tests for each backend and method.
class OfBackendAndMethod : public ::testing::TestWithParam<std::tuple<Backend, std::string>> {
 public:
  static std::string name(const ::testing::TestParamInfo<std::tuple<Backend, std::string>>& tested) {
    const auto& [backend, method] = tested.param;
    return ::testing::PrintToString(backend) + "_" + method_title({method, 0});
  }

 protected:
  void SetUp() override {
    if (backend() == Backend::cuda && cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  }
  static Backend backend() { return std::get<0>(GetParam()); }
  static const std::string& method() { return std::get<1>(GetParam()); }
};

/// Returns options with all that the server can add to a method.
inline ServerOptions everything(const std::string& method) {
  ServerOptions options{.momentum = 0.5, .weight_decay = 0.01, .clip_norm = 2};
  if (!has_feature(method, Feature::table)) return options;
  options.table_type = TableType::bf16;
  options.resum_every = 7;
  return options;
}

/// Is an event script in which a worker fails, and comes back.
inline constexpr const char* loss_and_return =
    "[[event]]\ntime = 9\nworker = 2\nstate = \"failed\"\n"
    "[[event]]\ntime = 16\nworker = 2\nstate = \"working\"\n";

}  // namespace tardigrad::testing
