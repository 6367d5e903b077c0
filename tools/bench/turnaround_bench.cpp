// Turnaround of a worker in wall time: from the end of its gradient, on the device, until the next kernel of
// the same worker begins. In between the host learns of the end, the method decides, the server's fused
// kernel folds, steps and hands the new model over, and the worker's stream goes on behind that. Measured by
// the device's own clock, in training through the coordinator: each gradient stands between two kernels that
// write the time, which thus count themselves in. For each way of learning of completions, in turn, and
// without the host, where a worker's stream makes the update itself and has its next minibatch drawn in
// between.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device_time.h"
#include "models/networks/built_in_networks.h"
#include "runtime/coordinator/coordinator.h"
#include "tools/bench/support/measurements.h"
#include "tools/bench/support/noise_images.h"

namespace {

using namespace tardigrad;

/// When the gradients of a worker's jobs began and ended, by the clock of one device.
class Stamps {
 public:
  Stamps(Device device, int workers, std::size_t jobs)
      : stream_(device, "stamps"),
        jobs_(jobs),
        times_ns_(stream_, 2 * jobs * static_cast<std::size_t>(workers)),
        taken_(static_cast<std::size_t>(workers)) {
    stream_.ref().zero(times_ns_.ref());
    stream_.ref().synchronize();  // from here on any stream may write there
  }

  /// Called by the coordinator's thread. Stamps of jobs beyond those there is room for are not taken.
  void stamp(const StreamRef& stream, int worker) {
    std::size_t& taken = taken_[static_cast<std::size_t>(worker)];
    if (taken < 2 * jobs_) stream.enqueue(StampTime{first_of(worker) + taken++});
  }

  /// From the end of each job to the beginning of its worker's next, in µs, ascending, the first `skipped`
  /// jobs left out. All streams must be idle.
  std::vector<double> turnarounds_us(std::size_t skipped) {
    std::vector<std::uint64_t> times(times_ns_.size());
    stream_.ref().copy(host_view(times.data(), times.size()),
                       BufferRef<const std::uint64_t>(times_ns_.ref()));
    stream_.ref().synchronize();
    std::vector<double> turnarounds;
    for (std::size_t worker = 0; worker < taken_.size(); ++worker) {
      const std::uint64_t* of_worker = times.data() + 2 * jobs_ * worker;
      for (std::size_t job = skipped; 2 * job + 2 < taken_[worker]; ++job) {
        const std::uint64_t end = of_worker[2 * job + 1];
        const std::uint64_t next = of_worker[2 * job + 2];
        if (end != 0 && next != 0) turnarounds.push_back(static_cast<double>(next - end) * 1e-3);
      }
    }
    std::sort(turnarounds.begin(), turnarounds.end());
    return turnarounds;
  }

 private:
  std::uint64_t* first_of(int worker) {
    return times_ns_.ref().data() + 2 * jobs_ * static_cast<std::size_t>(worker);
  }

  Stream stream_;
  std::size_t jobs_;
  Buffer<std::uint64_t> times_ns_;  // [workers][jobs][begin, end]
  std::vector<std::size_t> taken_;
};

/// An objective whose gradients stand between stamps.
class Stamped final : public Objective {
 public:
  Stamped(Objective& inner, Stamps& stamps) : inner_(inner), stamps_(stamps) {}

  const ParameterLayout& layout() const override { return inner_.layout(); }
  int workers() const override { return inner_.workers(); }
  bool runs_on(Backend backend) const override { return inner_.runs_on(backend); }
  void initialise(std::span<float> model, std::uint64_t seed) const override {
    inner_.initialise(model, seed);
  }
  std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream,
                                              std::span<const int> workers = {}) override {
    return std::make_unique<Engine>(inner_.make_engine(stream, workers), stream, stamps_);
  }
  EngineMemory engine_memory(Device device, std::span<const int> workers = {}) const override {
    return inner_.engine_memory(device, workers);
  }
  Evaluation evaluate(std::span<const float>, const BreakOff& /*break_off*/ = {}) override { return {}; }
  std::size_t examples_per_job(int worker) const override { return inner_.examples_per_job(worker); }
  std::size_t examples() const override { return inner_.examples(); }

 private:
  class Engine final : public GradientEngine {
   public:
    Engine(std::unique_ptr<GradientEngine> inner, const StreamRef& stream, Stamps& stamps)
        : inner_(std::move(inner)), stream_(stream), stamps_(stamps) {}
    void enqueue_minibatch(int worker, std::uint64_t job) override { inner_->enqueue_minibatch(worker, job); }
    void enqueue_gradient(int worker, BufferRef<const float> model, BufferRef<float> gradient,
                          float* loss) override {
      stamps_.stamp(stream_, worker);
      inner_->enqueue_gradient(worker, model, gradient, loss);
      stamps_.stamp(stream_, worker);
    }

   private:
    std::unique_ptr<GradientEngine> inner_;
    StreamRef stream_;
    Stamps& stamps_;
  };

  Objective& inner_;
  Stamps& stamps_;
};

struct Options {
  std::string architecture = "cnn";
  std::string method = "dude";
  int workers = 1;
  int batch = 32;
  std::size_t jobs = 3000;
};

/// How a worker comes to its next model.
struct Way {
  const char* name;
  Completions completions;
  bool on_device = false;
};

/// The turnarounds of one run, the first tenth of the jobs left out: in it graphs are captured.
std::vector<double> measure_us(const Options& options, Objective& objective, Device device, const Way& way) {
  Stamps stamps(device, options.workers, options.jobs);
  Stamped stamped(objective, stamps);
  constexpr double lr = 1e-4;  // noise has nothing to learn; the model must only stay finite
  const auto method = make_method(options.method, {.workers = options.workers, .lr = lr});
  const Delays delays = Delays::parse("measured", options.workers, 0);
  const EventScript speeds;
  RunOptions run;
  run.lr = lr;
  run.max_gradients = options.jobs * static_cast<std::size_t>(options.workers);
  run.completions = way.completions;
  run.hand_over_on_device = way.on_device;
  {
    Coordinator coordinator(stamped, *method,
                            make_execution(stamped, method->memory(), delays, speeds, Devices({device}), run),
                            run, {});
    std::vector<float> model(objective.dimension());
    objective.initialise(model, 1);
    coordinator.run(model, {});
  }
  return stamps.turnarounds_us(options.jobs / 10);
}

double quantile(const std::vector<double>& ascending, double share) {
  if (ascending.empty()) throw std::runtime_error("no two jobs of a worker followed one another");
  return ascending[static_cast<std::size_t>(share * static_cast<double>(ascending.size() - 1))];
}

void compare(const Options& options, const std::string& device_name, std::size_t rounds,
             const std::string& json) {
  const Device device = parse_devices(device_name).front();
  models::ClassificationOptions task;
  task.workers = options.workers;
  task.batch_size = options.batch;
  models::Classification objective =
      bench::classify(bench::noise_images(options.architecture), options.architecture, task);
  bench::Measurements measurements("turnaround", device_name, json);
  const std::array ways = {
      Way{"polling", Completions::polling}, Way{"callback", Completions::callback},
      Way{"device", device.backend == Backend::cpu ? Completions::callback : Completions::polling, true}};
  std::array<std::vector<double>, ways.size()> turnarounds;
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const auto measured = measure_us(options, objective, device, ways[i]);
      turnarounds[i].insert(turnarounds[i].end(), measured.begin(), measured.end());
    }
  }
  fmt::print("{} by {}, d = {}, {} workers, batch {}, on {}\n", options.architecture, options.method,
             objective.dimension(), options.workers, options.batch, device.name());
  for (std::vector<double>& of_way : turnarounds) std::sort(of_way.begin(), of_way.end());
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const double median = quantile(turnarounds[i], 0.5);
    const bool faster = !ways[i].on_device && median <= quantile(turnarounds[1 - i], 0.5);
    const double p99 = quantile(turnarounds[i], 0.99);
    fmt::print("{:>10} {:>10.1f} µs median {:>10.1f} µs p99 ({} turnarounds)\n", ways[i].name, median, p99,
               turnarounds[i].size());
    measurements.add({{"way", ways[i].name}, {"workers", options.workers}},
                     {{"dimension", objective.dimension()},
                      {"on_device", ways[i].on_device},
                      {"median_us", median},
                      {"p99_us", p99},
                      {"faster", faster},  // of the host's ways: what a run takes unless told otherwise
                      {"count", turnarounds[i].size()}});
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::string device = "auto";
  std::string json;
  std::size_t rounds = 3;
  CLI::App app("From the end of a worker's gradient to the beginning of its next kernel, on the device.");
  app.add_option("--architecture", options.architecture)->check(CLI::IsMember(models::architecture_names()));
  app.add_option("--method", options.method)
      ->check(CLI::IsMember({"asgd", "dude", "ia2sgd"}))
      ->capture_default_str();
  app.add_option("--workers", options.workers)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--batch", options.batch)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--jobs", options.jobs, "Of each worker in a run")->check(CLI::Range(20, 1'000'000));
  app.add_option("--rounds", rounds, "Runs with each way")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--device", device, "As tardigrad train reads it; the first of them")->capture_default_str();
  app.add_option("--json", json, "Adds what was measured to this file, a JSON object a line");
  CLI11_PARSE(app, argc, argv);
  try {
    compare(options, device, rounds, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "turnaround_bench: {}\n", error.what());
    return 2;
  }
}
