// Times one training step of a network: loss and gradient of one minibatch, no optimizer.
//
// On the CPU on one thread and of a minibatch that is there, in processor time, which other programs on the
// machine do not lengthen as they do the wall clock's. On a GPU as a worker's stream runs it: draw the
// minibatch, gather it out of the resident images, normalise, forward, loss, backward; the steps follow one
// another on one stream, by the wall clock, until the last is finished.
//
// On a GPU, --without names what steps are timed without, beside the best ones: a second stream, fused first
// layers.
//
// With --serve it times on demand: for each line on standard input, a number of steps, it prints the seconds
// that they took; behind a number, a name given to --without asks for those steps. So cnn_step_vs_pytorch.py
// measures all sides in turn.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels/random.h"
#include "models/aligned_vector.h"
#include "models/classifier.h"
#include "models/networks/built_in_networks.h"
#include "tools/bench/support/measurements.h"
#include "tools/bench/support/noise_images.h"
#include "tools/bench/support/paired.h"

namespace {

namespace models = tardigrad::models;

class Step {
 public:
  Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  virtual ~Step() = default;

  /// Of that many steps.
  virtual double run_s(int steps) = 0;
};

/// A network with a minibatch of noise: MNIST's shape for the mlp, CIFAR-10's for the others.
class CpuStep final : public Step {
 public:
  CpuStep(const std::string& architecture, int batch, models::CpuEngine engine)
      : architecture_(models::make_architecture(architecture, architecture == "mlp" ? mnist : cifar10, 10)),
        classifier_(models::make_classifier(architecture_, batch, engine)),
        parameters_(architecture_.layout().dimension()),
        gradient_(parameters_.size()),
        images_(architecture_.input().size() * static_cast<std::size_t>(batch)),
        labels_(static_cast<std::size_t>(batch)) {
    models::initialise(architecture_, parameters_, 1);
    tardigrad::Random random({1, 2, 3, 4});
    for (float& value : images_) value = static_cast<float>(random.normal());
    for (std::int32_t& label : labels_) label = static_cast<std::int32_t>(random.below(10));
  }

  double run_s(int steps) override {
    const std::clock_t start = std::clock();
    for (int step = 0; step < steps; ++step) {
      classifier_->gradient(parameters_.data(), images_.data(), labels_.data(), gradient_.data());
    }
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  }

 private:
  static constexpr models::ImageShape cifar10{3, 32, 32};
  static constexpr models::ImageShape mnist{1, 28, 28};

  models::Architecture architecture_;
  std::unique_ptr<models::Classifier> classifier_;
  models::AlignedVector<float> parameters_, gradient_, images_;  // as the runtime's buffers are
  std::vector<std::int32_t> labels_;
};

/// The jobs of one worker on a stream.
class StreamStep final : public Step {
 public:
  StreamStep(const std::string& architecture, const models::ClassificationOptions& options,
             tardigrad::Device device)
      : classification_(
            tardigrad::bench::classify(tardigrad::bench::noise_images(architecture), architecture, options)),
        stream_(device, "steps"),
        engine_(classification_.make_engine(stream_)),
        model_(stream_, classification_.dimension()),
        gradient_(stream_, classification_.dimension()),
        loss_(device, 1) {
    std::vector<float> model(classification_.dimension());
    classification_.initialise(model, 1);
    stream_.ref().copy(model_.ref(),
                       tardigrad::BufferRef<const float>(tardigrad::host_view(model.data(), model.size())));
    stream_.ref().synchronize();
  }

  double run_s(int steps) override {
    const auto start = std::chrono::steady_clock::now();
    for (int step = 0; step < steps; ++step) {
      engine_->enqueue_minibatch(0, job_++);
      engine_->enqueue_gradient(0, model_.ref(), gradient_.ref(), loss_.data());
    }
    stream_.ref().synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  models::Classification classification_;
  tardigrad::Stream stream_;
  std::unique_ptr<tardigrad::GradientEngine> engine_;
  tardigrad::Buffer<float> model_, gradient_;
  tardigrad::PinnedBuffer<float> loss_;
  std::uint64_t job_ = 0;
};

/// Steps that compute the same.
struct Way {
  std::string name;  ///< Empty for the best one, which comes first.
  std::unique_ptr<Step> step;
};

std::vector<Way> make_ways(const std::string& architecture, models::ClassificationOptions options,
                           tardigrad::Device device, models::CpuEngine engine,
                           const std::vector<std::string>& without) {
  std::vector<Way> ways;
  if (device.backend == tardigrad::Backend::cpu) {
    models::require_cpu_precision(options.network.precision);
    const int batch = options.batch_size.sizes().front();
    ways.push_back({"", std::make_unique<CpuStep>(architecture, batch, engine)});
    return ways;
  }
  ways.push_back({"", std::make_unique<StreamStep>(architecture, options, device)});
  for (const std::string& name : without) {
    options.network.one_stream = name == "one_stream";
    options.network.unfused = name == "unfused";
    options.network.legacy = name == "legacy";
    ways.push_back({name, std::make_unique<StreamStep>(architecture, options, device)});
  }
  return ways;
}

/// In turn, over blocks of about 0.1 s of the best step.
tardigrad::bench::Comparison measure(const std::vector<Way>& ways, int blocks) {
  Step& best = *ways.front().step;
  best.run_s(2);
  const int in_block = std::max(1, static_cast<int>(0.1 / best.run_s(1)));
  std::vector<tardigrad::bench::Contender> contenders;
  for (const Way& way : ways) {
    contenders.push_back(
        {way.name, [step = way.step.get(), in_block] { return step->run_s(in_block) / in_block; }});
  }
  return {std::move(contenders), static_cast<std::size_t>(blocks)};
}

void serve(const std::vector<Way>& ways) {
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) continue;
    std::istringstream words(line);
    int steps = 0;
    std::string name;
    words >> steps;
    if (!words) throw std::invalid_argument("expected a number of steps, found " + line);
    words >> name;
    const auto way = std::ranges::find(ways, name, &Way::name);
    if (way == ways.end()) throw std::invalid_argument("no way to compute steps: " + name);
    fmt::print("{:.9f}\n", way->step->run_s(steps));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string architecture = "cnn";
  models::ClassificationOptions options;
  int batch = 32;
  std::string device_name = "cpu";
  std::string precision = "fp32";
  models::CpuEngine engine = models::best_cpu_engine();
  int blocks = 15;
  bool serving = false;
  bool printing = false;
  std::vector<std::string> without{"one_stream", "unfused", "legacy"};
  std::string json;
  CLI::App app("Times a training step: loss and gradient of one minibatch.");
  app.add_option("--architecture", architecture, "A built-in network, or a network file")
      ->capture_default_str();
  app.add_option("--batch", batch)->check(CLI::PositiveNumber);
  app.add_option("--device", device_name, "cpu, or a GPU as tardigrad train reads it")->capture_default_str();
  app.add_option("--precision", precision, "fp32, tf32 or bf16")->capture_default_str();
  const std::map<std::string, models::CpuEngine> engines{{"plain", models::CpuEngine::plain},
                                                         {"onednn", models::CpuEngine::onednn}};
  app.add_option("--engine", engine, "Of the CPU")->transform(CLI::CheckedTransformer(engines));
  app.add_option("--blocks", blocks, "Of about 0.1 s; the median counts")->check(CLI::PositiveNumber);
  app.add_option("--without", without, "Of a GPU: also steps without these, one_stream, unfused or legacy")
      ->check(CLI::IsMember({"one_stream", "unfused", "legacy"}))
      ->capture_default_str();
  app.add_flag("--serve", serving, "Read numbers of steps, print the seconds they took");
  app.add_flag("--print", printing, "Print the text of its network file, no more");
  app.add_option("--json", json, "Adds what was measured to this file, a JSON object a line");
  CLI11_PARSE(app, argc, argv);
  try {
    if (printing) {
      fmt::print("{}", models::network_text(architecture));
      return 0;
    }
    const tardigrad::Device device = tardigrad::parse_devices(device_name).front();
    options.network.precision = models::parse_precision(precision);
    options.batch_size = batch;
    const std::vector<Way> ways = make_ways(architecture, options, device, engine, without);
    if (serving) {
      serve(ways);
      return 0;
    }
    const tardigrad::bench::Comparison times = measure(ways, blocks);
    const double time_ms = times.median_s(0) * 1e3;
    fmt::print("{}, batch {}, {}, on {}: {:.4f} ms a step", architecture, batch, precision, device.name(),
               time_ms);
    nlohmann::ordered_json measured{{"time_ms", time_ms}, {"images_per_s", batch / time_ms * 1e3}};
    for (std::size_t i = 1; i < times.size(); ++i) {
      const double other_ms = times.median_s(i) * 1e3;
      fmt::print("; {} {:.4f} ms, {:.3f} times as long", times.name(i), other_ms, times.ratio(i, 0));
      measured[times.name(i) + "_ms"] = other_ms;
      measured["over_" + times.name(i)] = times.ratio(i, 0);
    }
    fmt::print("\n");
    tardigrad::bench::Measurements("step", device_name, json)
        .add({{"architecture", architecture}, {"batch", batch}, {"precision", precision}}, measured);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "cnn_step_bench: {}\n", error.what());
    return 2;
  }
}
