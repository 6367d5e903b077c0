// Gradients a second of small networks whose jobs are computed in groups (GradientEngine::enqueue_gradients),
// as virtual time has them on a GPU, against the same jobs one after another, on one stream and on eight, and
// against a network computed by the libraries, from its CUDA graph, on a minibatch that is there already. In
// turn, by the host's clock, launches included; each job has a model and a gradient of its own. On a CPU
// nothing is computed in groups.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/classification.h"
#include "models/networks/built_in_networks.h"
#include "tools/bench/support/measurements.h"
#include "tools/bench/support/noise_images.h"
#include "tools/bench/support/paired.h"

#if TARDIGRAD_CUDA
#include "models/cuda/graph_cache.h"
#include "models/cuda/plans.h"
#include "runtime/device/cuda/native_call.h"
#endif

namespace {

using namespace tardigrad;

constexpr std::size_t jobs_in_flight = 64;
constexpr std::size_t group_size = 16;

/// A stream with an engine, and the vectors of jobs that take turns.
class EngineOfStream {
 public:
  EngineOfStream(models::Classification& classification, Device device)
      : dimension_(vector_stride(classification.dimension())),
        size_(classification.dimension()),
        workers_(classification.workers()),
        stream_(device, "jobs"),
        engine_(classification.make_engine(stream_)),
        models_(stream_, jobs_in_flight * dimension_),
        gradients_(stream_, models_.size()),
        losses_(device, jobs_in_flight) {
    std::vector<float> model(size_);
    classification.initialise(model, 1);
    for (std::size_t k = 0; k < jobs_in_flight; ++k) {
      stream_.ref().copy(models_.ref().subview(k * dimension_, size_), host_view(model.data(), size_));
    }
    stream_.ref().synchronize();
  }

  void enqueue_one() {
    const GradientJob job = next();
    engine_->enqueue_minibatch(job.worker, job.number);
    engine_->enqueue_gradient(job.worker, job.model, job.gradient, losses_.data());
  }

  void enqueue_group(std::size_t size) {
    std::vector<GradientJob> jobs;
    for (std::size_t k = 0; k < size; ++k) jobs.push_back(next());
    engine_->enqueue_gradients(jobs, losses_.data(), [] {});
  }

  StreamRef stream() const { return stream_; }
  BufferRef<float> model() { return models_.ref().subview(0, size_); }
  BufferRef<float> gradient() { return gradients_.ref().subview(0, size_); }

 private:
  GradientJob next() {
    const std::uint64_t job = jobs_++;
    const std::size_t at = job % jobs_in_flight * dimension_;
    const auto workers = static_cast<std::uint64_t>(workers_);
    return {static_cast<int>(job % workers), job / workers, models_.ref().subview(at, size_),
            gradients_.ref().subview(at, size_)};
  }

  std::size_t dimension_, size_;
  int workers_;
  Stream stream_;
  std::unique_ptr<GradientEngine> engine_;
  Buffer<float> models_, gradients_;
  PinnedBuffer<float> losses_;
  std::uint64_t jobs_ = 0;
};

#if TARDIGRAD_CUDA
struct LibraryStep {
  static constexpr const char* name = "gradient";
};

/// Steps of a network that cuDNN and cuBLASLt compute, on a stream and vectors of another engine's.
std::function<void()> by_libraries(const models::Architecture& architecture, int batch, EngineOfStream& on) {
  struct Steps {
    std::unique_ptr<models::cuda::Network> network;
    models::cuda::GraphCache graphs;
    PinnedBuffer<float> loss;
  };
  const auto steps = std::make_shared<Steps>(
      Steps{models::cuda::make_network(on.stream(), architecture, batch, {.workspace_limit = 32U << 20}),
            {on.stream().device(), true},
            {on.stream().device(), 1}});
  return [steps, &on] {
    cuda::call_native<LibraryStep>(on.stream(), [&](CudaStream native) {
      const models::cuda::GraphCache::Addresses addresses{on.model().data(), on.gradient().data(),
                                                          steps->loss.data()};
      steps->graphs.run(native, addresses, [&] {
        steps->network->gradient(native, addresses.model, addresses.gradient, addresses.loss);
      });
    });
  };
}
#endif

void compare(const std::string& architecture, int batch, const std::string& device_name, std::size_t jobs,
             std::size_t rounds, const std::string& json) {
  const Device device = parse_devices(device_name).front();
  models::ClassificationOptions options;
  options.workers = 100;
  options.batch_size = batch;
  const auto dataset = bench::noise_images(architecture);
  models::Classification classification = bench::classify(dataset, architecture, options);
  std::vector<std::unique_ptr<EngineOfStream>> engines;
  for (int i = 0; i < 8; ++i) engines.push_back(std::make_unique<EngineOfStream>(classification, device));
  const auto settle = [&engines] {
    for (const auto& engine : engines) engine->stream().synchronize();
  };
  const auto all = [&](const std::string& name, std::size_t each, auto enqueue) {
    const auto work = [jobs, each, enqueue, settle] {
      for (std::size_t k = 0; k < jobs; k += each) enqueue(k);
      settle();
    };
    return bench::timed(name, work, work);
  };
  std::vector<bench::Contender> contenders{
      all("groups of 16", group_size, [&](std::size_t) { engines[0]->enqueue_group(group_size); }),
      all("one by one", 1, [&](std::size_t) { engines[0]->enqueue_one(); }),
      all("on eight streams", 1, [&](std::size_t k) { engines[k % engines.size()]->enqueue_one(); })};
#if TARDIGRAD_CUDA
  if (device.backend == Backend::cuda) {
    const auto step = by_libraries(classification.architecture(), batch, *engines[0]);
    contenders.push_back(all("by libraries", 1, [step](std::size_t) { step(); }));
  }
#endif
  const bench::Comparison times(std::move(contenders), rounds);
  bench::Measurements measurements("gradient_groups", device_name, json);
  fmt::print("{}, {} parameters, batch {}, on {}; computed at once: {}\n", architecture,
             classification.dimension(), batch, device.name(),
             classification.gradients_at_once(device.backend));
  for (std::size_t i = 0; i < times.size(); ++i) {
    const double per_s = static_cast<double>(jobs) / times.median_s(i);
    const double slower = times.ratio(i, 0);
    fmt::print("{:<18}{:>12.0f} gradients/s {:>8.2f} × the time of groups\n", times.name(i), per_s, slower);
    measurements.add({{"way", times.name(i)}, {"architecture", architecture}, {"batch", batch}},
                     {{"gradients_per_s", per_s}, {"time_over_groups", slower}});
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string architecture = "mlp";
  std::string device = "auto";
  std::string json;
  int batch = 4;
  std::size_t jobs = 3200;
  std::size_t rounds = 7;
  CLI::App app("Gradients a second of jobs that are computed in groups.");
  app.add_option("--architecture", architecture)->check(CLI::IsMember(models::architecture_names()));
  app.add_option("--batch", batch)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--device", device, "As tardigrad train reads it")->capture_default_str();
  app.add_option("--jobs", jobs, "Of each measurement")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--json", json, "Adds what was measured to this file, a JSON object a line");
  CLI11_PARSE(app, argc, argv);
  try {
    compare(architecture, batch, device, jobs, rounds, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "gradient_groups_bench: {}\n", error.what());
    return 2;
  }
}
