// Times whole jobs of a classification as a worker's stream runs them: draw and gather a minibatch, compute
// loss and gradient. Hot: with one model and one gradient, which the caches hold. Cold: with another model
// and another gradient each time, out of more than the caches hold, as jobs meet them where there are many
// workers. In processor time of the stream's thread, which other programs do not lengthen as they do the wall
// clock's; jobs are enqueued before the clock starts, so it never waits for them.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/classification.h"
#include "models/networks/built_in_networks.h"
#include "tools/bench/support/noise_images.h"
#include "tools/bench/support/paired.h"

namespace {

namespace models = tardigrad::models;

double thread_cpu_s() {
  std::timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// The stream of some workers, with the models and gradients that their jobs take in turn.
class Jobs {
 public:
  Jobs(const std::string& architecture, const models::ClassificationOptions& options, std::size_t vectors)
      : classification_(
            tardigrad::bench::classify(tardigrad::bench::noise_images(architecture), architecture, options)),
        stream_(tardigrad::Device{}, "jobs"),
        engine_(classification_.make_engine(stream_)),
        vectors_(vectors),
        models_(stream_, vectors * classification_.dimension()),
        gradients_(stream_, models_.size()) {
    for (std::size_t v = 0; v < vectors; ++v) {
      classification_.initialise(
          {models_.ref().data() + v * classification_.dimension(), classification_.dimension()}, v);
    }
  }

  struct Parts {
    bool minibatch = true;
    bool gradient = true;
  };

  /// Of one job out of `count`, with the first `vectors` models and gradients in turn.
  double job_s(Parts parts, int count, std::size_t vectors) {
    std::promise<void> enqueued;
    double start_s = 0;
    double end_s = 0;
    stream_.ref().host("start", [&, ready = enqueued.get_future().share()] {
      ready.wait();
      start_s = thread_cpu_s();
    });
    for (int i = 0; i < count; ++i) enqueue(parts, vectors);
    stream_.ref().host("end", [&] { end_s = thread_cpu_s(); });
    enqueued.set_value();
    stream_.ref().synchronize();
    return (end_s - start_s) / count;
  }

  std::size_t vectors() const { return vectors_; }
  std::size_t dimension() const { return classification_.dimension(); }

 private:
  void enqueue(Parts parts, std::size_t vectors) {
    const auto workers = static_cast<std::uint64_t>(classification_.workers());
    const int worker = static_cast<int>(jobs_ % workers);
    const std::size_t d = classification_.dimension();
    const std::size_t offset = jobs_ % vectors * d;
    if (parts.minibatch) engine_->enqueue_minibatch(worker, jobs_ / workers);
    if (parts.gradient) {
      engine_->enqueue_gradient(worker, models_.ref().subview(offset, d), gradients_.ref().subview(offset, d),
                                &loss_);
    }
    ++jobs_;
  }

  models::Classification classification_;
  tardigrad::Stream stream_;
  std::unique_ptr<tardigrad::GradientEngine> engine_;
  std::size_t vectors_;
  tardigrad::Buffer<float> models_, gradients_;
  std::uint64_t jobs_ = 0;
  float loss_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::string architecture = "mlp";
  models::ClassificationOptions options;
  options.workers = 100;
  int batch = 4;
  std::size_t vectors = 100;
  std::size_t blocks = 31;
  CLI::App app("Times whole jobs, minibatch and gradient, on one stream.");
  app.add_option("--architecture", architecture)->check(CLI::IsMember(models::architecture_names()));
  app.add_option("--workers", options.workers)->check(CLI::Range(1, 10000));
  app.add_option("--batch", batch)->check(CLI::PositiveNumber);
  app.add_option("--vectors", vectors, "models and gradients that cold jobs rotate through")
      ->check(CLI::PositiveNumber);
  app.add_option("--blocks", blocks, "of about 20 ms; the median counts")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  options.batch_size = batch;
  Jobs jobs(architecture, options, vectors);
  constexpr Jobs::Parts whole{};
  const int count = std::max(1, static_cast<int>(0.02 / jobs.job_s(whole, 10, 1)));
  const auto contender = [&](const char* name, Jobs::Parts parts, std::size_t rotation) {
    return tardigrad::bench::Contender{
        name, [&jobs, parts, rotation, count] { return jobs.job_s(parts, count, rotation); }};
  };
  const tardigrad::bench::Comparison times(
      {contender("minibatch", {true, false}, 1), contender("gradient, hot", {false, true}, 1),
       contender("gradient, cold", {false, true}, vectors), contender("job, hot", whole, 1),
       contender("job, cold", whole, vectors)},
      blocks);
  fmt::print("{}, {} parameters, batch {}, {} workers; cold: {} models and gradients\n", architecture,
             jobs.dimension(), batch, options.workers, vectors);
  for (std::size_t i = 0; i < times.size(); ++i) {
    fmt::print("{:<16} {:8.2f} µs\n", times.name(i), times.median_s(i) * 1e6);
  }
}
