// Times one training step of a network on one thread: loss and gradient of one minibatch, no optimizer. In
// processor time, which other programs on the machine do not lengthen as they do the wall clock's. With
// --serve it times on demand: for each line on standard input, a number of steps, it prints the seconds that
// they took. cnn_step_vs_pytorch.py measures both sides in turn that way.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/random.h"
#include "models/aligned_vector.h"
#include "models/classifier.h"
#include "tools/bench/paired.h"

namespace {

namespace models = tardigrad::models;

/// A network with a minibatch of noise: CIFAR-10's shape for the cnn, MNIST's for the mlp.
class Step {
 public:
  Step(const std::string& architecture, int batch, models::CpuEngine engine)
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

  double run_s(int steps) {
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

/// Over blocks of about 0.1 s.
double median_step_ms(Step& step, int blocks) {
  step.run_s(2);
  const int steps = std::max(1, static_cast<int>(0.1 / step.run_s(1)));
  std::vector<double> times_ms(static_cast<std::size_t>(blocks));
  for (double& time_ms : times_ms) time_ms = step.run_s(steps) / steps * 1e3;
  return tardigrad::bench::median(std::move(times_ms));
}

void serve(Step& step) {
  for (int steps = 0; std::cin >> steps;) {
    fmt::print("{:.9f}\n", step.run_s(steps));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string architecture = "cnn";
  int batch = 32;
  models::CpuEngine engine = models::best_cpu_engine();
  int blocks = 15;
  bool serving = false;
  CLI::App app("Times a training step: loss and gradient of one minibatch, on one thread.");
  app.add_option("--architecture", architecture)->check(CLI::IsMember(models::architecture_names()));
  app.add_option("--batch", batch)->check(CLI::PositiveNumber);
  const std::map<std::string, models::CpuEngine> engines{{"plain", models::CpuEngine::plain},
                                                         {"onednn", models::CpuEngine::onednn}};
  app.add_option("--engine", engine)->transform(CLI::CheckedTransformer(engines));
  app.add_option("--blocks", blocks, "of about 0.1 s; the median counts")->check(CLI::PositiveNumber);
  app.add_flag("--serve", serving, "read numbers of steps, print the seconds they took");
  CLI11_PARSE(app, argc, argv);

  Step step(architecture, batch, engine);
  if (serving) {
    serve(step);
  } else {
    fmt::print("{}, batch {}: {:.4f} ms a step\n", architecture, batch, median_step_ms(step, blocks));
  }
}
