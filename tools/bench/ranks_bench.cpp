// What the ranks of MPI take for themselves, with gradients that cost nothing: mpirun -n 5 ranks_bench. The
// round trip of a job against a message of as many bytes there and back by the same MPI, and updates a second
// of all workers against those of threads in one process. Rivals in turn in one run, medians.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/coordinator/coordinator.h"
#include "runtime/ranks/blocking.h"
#include "runtime/ranks/execution_on_ranks.h"
#include "runtime/ranks/mpi_job.h"
#include "runtime/ranks/workers/rank_worker.h"
#include "tools/bench/support/free_gradients.h"
#include "tools/bench/support/paired.h"

namespace {

using namespace tardigrad;

struct Case {
  std::size_t dimension;
  int workers;
  std::string method;
  ClockKind clock;
  std::uint64_t arrivals;
  bool by_messages = false;  ///< as over several machines: ranks have no memory in common
  std::size_t part = 0;      ///< of models on their way; 0: they go as a whole
};

RunSummary run(const Case& one, Objective& objective, Method& method,
               const std::function<Execution(const Delays&, const EventScript&, const RunOptions&)>& make) {
  const Delays delays =
      Delays::parse(one.clock == ClockKind::wall ? "measured" : "linear:1:1", one.workers, 1);
  const EventScript speeds;
  RunOptions options;
  options.lr = 1;
  options.clock = one.clock;
  options.max_gradients = one.arrivals;
  Coordinator coordinator(objective, method, make(delays, speeds, options), options, {});
  std::vector<float> model(one.dimension);
  return coordinator.run(model, {});
}

/// Arrivals a second over the ranks; on those that compute, nothing.
std::optional<double> rate_on_ranks(Transport& ranks, const Case& one) {
  bench::FreeGradients objective(one.workers, one.dimension);
  const RankLayout layout(one.workers, ranks.size());
  if (ranks.rank() > 0) {
    RankWorker worker(ranks, objective, layout.workers_of(ranks.rank()), {Device{}}, {});
    worker.serve();
    return std::nullopt;
  }
  const EndOfRanks end(ranks);
  const auto method = make_method(one.method, {.workers = one.workers, .lr = 1});
  const RunSummary summary =
      run(one, objective, *method,
          [&](const Delays& delays, const EventScript& speeds, const RunOptions& options) {
            const RunRanks on{.transport = &ranks,
                              .layout = layout,
                              .part_of_models = one.part,
                              .by_messages = one.by_messages};
            return make_execution_on_ranks(on, objective, method->memory(), delays, speeds, options);
          });
  return static_cast<double>(summary.gradients) / summary.train_time_s;
}

/// The same of threads in one process.
double rate_of_threads(const Case& one) {
  bench::FreeGradients objective(one.workers, one.dimension);
  const auto method = make_method(one.method, {.workers = one.workers, .lr = 1});
  std::vector<Device> devices;
  for (int i = 0; i < default_cpu_devices(); ++i) devices.push_back({Backend::cpu, i});
  const RunSummary summary =
      run(one, objective, *method,
          [&](const Delays& delays, const EventScript& speeds, const RunOptions& options) {
            return make_execution(objective, method->memory(), delays, speeds, devices, options);
          });
  return static_cast<double>(summary.gradients) / summary.train_time_s;
}

/// Seconds of a vector from rank 0 to rank 1 and back, as the transport has it.
double ping_pong_s(Transport& ranks, std::size_t dimension, int times) {
  constexpr int tag = 100;
  std::vector<float> vector(dimension, 1.0F);
  const std::size_t bytes = dimension * sizeof(float);
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < times && ranks.rank() < 2; ++i) {
    if (ranks.rank() == 0) blocking_send(ranks, 1, tag, vector.data(), bytes);
    blocking_receive(ranks, 1 - ranks.rank(), tag, vector.data(), bytes);
    if (ranks.rank() == 1) blocking_send(ranks, 0, tag, vector.data(), bytes);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() / times;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::size_t> dimensions = {100, 620'362};
  std::vector<std::string> methods = {"asgd", "dude"};
  int runs = 5;
  int workers = 0;
  bool by_messages = false;
  std::size_t part = RunRanks::default_part_of_models;
  std::uint64_t given_arrivals = 0;
  CLI::App app("What ranks take for themselves; mpirun starts it.");
  app.add_option("--dimensions", dimensions)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--methods", methods)->capture_default_str();
  app.add_option("--workers", workers, "Of all ranks but the first; 0: one each.")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_flag("--by-messages", by_messages, "Ranks of one machine send vectors as those of several do.");
  app.add_option("--part", part, "Elements of a model that are sent while the next are written; 0: all.")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--arrivals", given_arrivals, "Of a run; 0: 4000 where vectors are large, else 10000.")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--runs", runs)->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Transport& ranks = mpi_job();
  const bool speaks = ranks.rank() == 0;
  const int others = ranks.size() - 1;
  if (workers == 0) workers = others;
  for (const std::size_t d : dimensions) {
    const bool large = d > 100'000;
    const std::uint64_t by_default = large ? 4'000 : 10'000;
    const std::uint64_t arrivals = given_arrivals > 0 ? given_arrivals : by_default;
    for (const std::string& method : methods) {
      std::vector<double> ping_pong;
      std::vector<double> round_trip;
      std::vector<double> wall;
      std::vector<double> virtual_time;
      std::vector<double> threads;
      for (int i = 0; i < runs; ++i) {
        ping_pong.push_back(ping_pong_s(ranks, d, large ? 200 : 5'000));
        const auto one = rate_on_ranks(ranks, {d, 1, method, ClockKind::wall, arrivals, by_messages, part});
        const auto all =
            rate_on_ranks(ranks, {d, workers, method, ClockKind::wall, arrivals, by_messages, part});
        const auto planned =
            rate_on_ranks(ranks, {d, workers, method, ClockKind::virtual_time, arrivals, by_messages, part});
        if (!speaks) continue;
        round_trip.push_back(1 / *one);
        wall.push_back(*all);
        virtual_time.push_back(*planned);
        threads.push_back(rate_of_threads({d, workers, method, ClockKind::wall, arrivals}));
      }
      if (!speaks) continue;
      const double there_and_back = bench::median(ping_pong);
      const double trip = bench::median(round_trip);
      const double of_ranks = bench::median(wall);
      const double of_threads = bench::median(threads);
      fmt::print(
          "{} d = {}: round trip {:.1f} us, ping-pong {:.1f} us: {:.2f} times; {} workers on {} ranks: "
          "{:.0f} "
          "arrivals/s in wall time, {:.0f} of threads in one process: {:.2f} times; {:.0f} in virtual "
          "time\n",
          method, d, 1e6 * trip, 1e6 * there_and_back, trip / there_and_back, workers, others, of_ranks,
          of_threads, of_ranks / of_threads, bench::median(virtual_time));
      std::fflush(stdout);
    }
  }
  leave_mpi_job();
}
