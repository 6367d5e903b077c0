// Arrivals a second in virtual time when a gradient costs nothing: what clock, method, coordinator and server
// take for themselves, with one parameter.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "runtime/coordinator/coordinator.h"
#include "tools/bench/support/free_gradients.h"
#include "tools/bench/support/paired.h"

namespace {

using namespace tardigrad;

double arrivals_per_s(const std::string& method_name, int workers, const std::string& compute_time,
                      std::uint64_t arrivals) {
  bench::FreeGradients objective(workers, 1);
  const auto method = make_method(method_name, {.workers = workers, .lr = 1});
  const Delays delays = Delays::parse(compute_time, workers, 1);
  const EventScript speeds;
  RunOptions options;
  options.lr = 1;
  options.clock = ClockKind::virtual_time;
  options.max_gradients = arrivals;
  Coordinator coordinator(
      objective, *method,
      make_execution(objective, method->memory(), delays, speeds, Devices({{Backend::cpu, 0}}), options),
      options, {});
  std::vector<float> model(1);
  const RunSummary summary = coordinator.run(model, {});
  return static_cast<double>(summary.gradients) / summary.train_time_s;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int> workers = {100, 10'000};
  std::vector<std::string> methods = method_names();
  std::string compute_time = "linear:1:1+halfnormal";
  std::uint64_t arrivals = 1'000'000;
  int runs = 5;
  CLI::App app("Arrivals a second of the coordinator alone, in virtual time; medians.");
  app.add_option("--workers", workers)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--methods", methods);
  app.add_option("--compute-time", compute_time)->capture_default_str();
  app.add_option("--arrivals", arrivals)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--runs", runs)->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  fmt::print("million arrivals/s with --compute-time {}, {} arrivals, median of {} runs in turn\n{:>22}",
             compute_time, arrivals, runs, "");
  for (const int n : workers) fmt::print("{:>12}", fmt::format("n = {}", n));
  fmt::print("\n");
  for (const std::string& method : methods) {
    std::vector<std::vector<double>> rates(workers.size());
    for (int run = 0; run < runs; ++run) {
      for (std::size_t i = 0; i < workers.size(); ++i) {
        rates[i].push_back(arrivals_per_s(method, workers[i], compute_time, arrivals));
      }
    }
    fmt::print("{:>22}", method);
    for (auto& of_n : rates) fmt::print("{:>12.2f}", bench::median(std::move(of_n)) / 1e6);
    fmt::print("\n");
  }
}
