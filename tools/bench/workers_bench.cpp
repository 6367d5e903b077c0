// Images a second of many workers on one device against those of one: whole training in wall time, through
// the coordinator, on images of noise; many of them also with updates that they make by themselves, without
// the host, where the method allows it. Runs in turn, medians; the beginning of each run, in which graphs are
// captured and plans made, does not count. On a CPU workers are threads: there the figure says how a run
// shares the processors that it is given, `--device cpu:K`.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/networks/built_in_networks.h"
#include "runtime/coordinator/coordinator.h"
#include "tools/bench/support/measurements.h"
#include "tools/bench/support/noise_images.h"
#include "tools/bench/support/paired.h"

namespace {

using namespace tardigrad;

struct Options {
  std::string architecture = "cnn";
  std::string method = "dude";
  std::string device = "auto";
  std::string precision = "fp32";
  int batch = 32;
  double seconds = 1;
  std::size_t rounds = 5;
};

/// Who trains.
struct Crew {
  int workers;
  bool on_device = false;  ///< they make the updates by themselves

  const char* hand_over() const { return on_device ? "device" : "host"; }
};

std::vector<Crew> crews_of(const std::vector<int>& worker_counts, const std::string& method) {
  std::vector<Crew> crews;
  for (const int workers : worker_counts) crews.push_back({workers});
  if (!has_feature(method, Feature::each_arrival)) return crews;
  for (const int workers : worker_counts) crews.push_back({workers, true});
  return crews;
}

/// How fast gradients arrived in the later part of a run.
class ArrivalRate final : public RunObserver {
 public:
  explicit ArrivalRate(double from) : from_(from) {}

  void on_arrival(const JobRecord& arrival) override {
    if (arrival.time < from_) return;
    if (count_++ == 0) first_ = arrival.time;
    last_ = arrival.time;
  }

  /// Throws std::runtime_error where too few arrived to say.
  double per_s() const {
    if (count_ < 10) throw std::runtime_error("fewer than 10 gradients arrived: give more --seconds");
    return static_cast<double>(count_ - 1) / (last_ - first_);
  }

 private:
  double from_;
  double first_ = 0;
  double last_ = 0;
  std::uint64_t count_ = 0;
};

/// What a rate of images needs of a GPU, as shares of what it could do; 0 where that is not known.
struct Shares {
  double fp32;
  double memory;  // at the least, see below
};

/// Of memory only the vectors count: a gradient reads the model and writes itself, the update of dude reads
/// it, the model and the row, and writes model, row, and the worker's copy of the model.
Shares shares_of_peak(const Options& options, const models::Architecture& architecture, Device device,
                      double images_per_s) {
  constexpr double vectors = 8;
  for (const DeviceDescription& described : describe_devices()) {
    if (described.device != device || described.fp32_per_s == 0 || described.bytes_per_s == 0) continue;
    const double vector_bytes = sizeof(float) * static_cast<double>(architecture.layout().dimension());
    return {images_per_s * architecture.gradient_operations() / described.fp32_per_s,
            images_per_s / options.batch * vectors * vector_bytes / described.bytes_per_s};
  }
  return {0, 0};
}

double images_per_s(const Options& options, const std::shared_ptr<const data::Dataset>& dataset,
                    const std::vector<Device>& devices, const Crew& crew) {
  const int workers = crew.workers;
  models::ClassificationOptions task;
  task.workers = workers;
  task.batch_size = options.batch;
  task.network.precision = models::parse_precision(options.precision);
  models::Classification objective = bench::classify(dataset, options.architecture, task);
  constexpr double lr = 1e-4;  // noise has nothing to learn; the model must only stay finite
  const auto method = make_method(options.method, {.workers = workers, .lr = lr});
  const Delays delays = Delays::parse("measured", workers, 0);
  const EventScript speeds;
  RunOptions run;
  run.lr = lr;
  run.time_limit = options.seconds;
  run.hand_over_on_device = crew.on_device;
  ArrivalRate rate(0.4 * options.seconds);
  Coordinator coordinator(objective, *method,
                          make_execution(objective, method->memory(), delays, speeds, devices, run), run,
                          {&rate});
  std::vector<float> model(objective.dimension());
  objective.initialise(model, 1);
  coordinator.run(model, {});
  return rate.per_s() * options.batch;
}

void compare(const Options& options, const std::vector<Crew>& crews, const std::string& json) {
  const std::vector<Device> devices = parse_devices(options.device);
  const auto dataset = bench::noise_images(options.architecture);
  const models::Architecture architecture =
      models::make_architecture(options.architecture, dataset->train.shape, dataset->classes);
  bench::Measurements measurements("workers", options.device, json);
  std::vector<std::vector<double>> rates(crews.size());
  for (std::size_t round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < crews.size(); ++i) {
      rates[i].push_back(images_per_s(options, dataset, devices, crews[i]));
    }
  }
  fmt::print("{} by {}, batch {}, on {}\n", options.architecture, options.method, options.batch,
             options.device);
  for (std::size_t i = 0; i < crews.size(); ++i) {
    std::vector<double> ratios;
    for (std::size_t round = 0; round < options.rounds; ++round) {
      ratios.push_back(rates[i][round] / rates[0][round]);
    }
    const double rate = bench::median(rates[i]);
    const double ratio = bench::median(std::move(ratios));
    const Shares shares = shares_of_peak(options, architecture, devices.front(), rate);
    fmt::print("{:>3} workers, hand-over by the {:<6} {:>12.0f} images/s {:>8.2f} ×", crews[i].workers,
               crews[i].hand_over(), rate, ratio);
    if (shares.fp32 > 0) {
      fmt::print("  {:.1f} % of the GPU's fp32 rate, at least {:.1f} % of its memory's", 100 * shares.fp32,
                 100 * shares.memory);
    }
    fmt::print("\n");
    measurements.add({{"workers", crews[i].workers},
                      {"batch", options.batch},
                      {"precision", options.precision},
                      {"hand_over", crews[i].hand_over()}},
                     {{"images_per_s", rate},
                      {"over_one_worker", ratio},
                      {"share_of_fp32", shares.fp32},
                      {"share_of_memory_at_least", shares.memory}});
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::vector<int> workers = {1, 10};
  std::string json;
  CLI::App app("Images a second of many workers on a device against one.");
  app.add_option("--architecture", options.architecture)->check(CLI::IsMember(models::architecture_names()));
  app.add_option("--method", options.method)->check(CLI::IsMember(method_names()))->capture_default_str();
  app.add_option("--workers", workers, "The first is what the others are compared with")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--batch", options.batch)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--precision", options.precision, "Of GPUs: fp32, tf32 or bf16")->capture_default_str();
  app.add_option("--device", options.device, "As tardigrad train reads it")->capture_default_str();
  app.add_option("--seconds", options.seconds, "Of each run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--json", json, "Adds what was measured to this file, a JSON object a line");
  CLI11_PARSE(app, argc, argv);
  try {
    compare(options, crews_of(workers, options.method), json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "workers_bench: {}\n", error.what());
    return 2;
  }
}
