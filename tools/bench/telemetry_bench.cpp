// What it costs a run to be observed: updates a second without an observer against those with a log of every
// job, a trace, the picture of a page, a live page that somebody listens to, and all of them; and the CPU
// time that the coordinator's thread takes for an update, which says the same where other programs disturb
// the clock. Runs in turn, medians.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "models/tridiagonal.h"
#include "runtime/coordinator/coordinator.h"
#include "runtime/telemetry/buffered_observer.h"
#include "runtime/telemetry/run_log.h"
#include "runtime/telemetry/trace_file.h"
#include "tools/bench/support/measurements.h"
#include "tools/bench/support/paired.h"
#include "tools/live/live_run.h"
#include "tools/report/run_picture.h"

namespace {

using namespace tardigrad;

struct Options {
  std::string method = "asgd";
  std::string clock = "wall";
  int workers = 10;
  int dimension = 1000;
  double rate = 5000;
  double seconds = 1;
  std::size_t rounds = 11;
};

/// Reads the events of a live page as they come, and throws them away.
class Listener {
 public:
  explicit Listener(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::string request = fmt::format("GET /events HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", port);
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 ||
        send(socket_, request.data(), request.size(), 0) < 0) {
      throw std::runtime_error("no live page to listen to");
    }
    reader_ = std::thread([this] {
      std::vector<char> bytes(1 << 16);
      while (recv(socket_, bytes.data(), bytes.size(), 0) > 0) {
      }
    });
  }
  ~Listener() {
    reader_.join();
    close(socket_);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  int socket_;
  std::thread reader_;
};

/// The observers of a run.
class Telemetry {
 public:
  /// `kind`: one of kinds().
  Telemetry(const std::string& kind, int workers) {
    const std::string run =
        fmt::format(R"({{"method":"asgd","clock":"wall","workers":{},"table":false}})", workers);
    const bool all = kind == "all";
    if (all || kind == "log") add(std::make_unique<RunLog>(file("log"), run, LogDetail::jobs));
    if (all || kind == "trace") add(std::make_unique<TraceFile>(file("trace"), run, std::uint64_t{64} << 20));
    if (kind == "picture") add(std::make_unique<RunPicture>(run));
    if (all || kind == "served") {
      auto live = std::make_unique<LiveRun>(run, LiveOptions{});
      listener_ = std::make_unique<Listener>(live->port());
      add(std::move(live));
    }
  }
  ~Telemetry() {
    observers_.clear();  // the listener hears of the end
    listener_.reset();
    for (const auto& path : files_) std::filesystem::remove(path);
  }
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  static const std::vector<std::string>& kinds() {
    static const std::vector<std::string> names = {"nothing", "timed jobs", "log", "trace",
                                                   "picture", "served",     "all"};
    return names;
  }

  std::vector<RunObserver*> observers() const {
    std::vector<RunObserver*> pointers;
    for (const auto& observer : observers_) pointers.push_back(observer.get());
    return pointers;
  }

 private:
  void add(std::unique_ptr<RunObserver> observer) { observers_.push_back(std::move(observer)); }
  std::filesystem::path file(const char* what) {
    return files_.emplace_back(std::filesystem::temp_directory_path() /
                               fmt::format("telemetry_bench-{}-{}", getpid(), what));
  }

  std::vector<std::filesystem::path> files_;
  std::vector<std::unique_ptr<RunObserver>> observers_;
  std::unique_ptr<Listener> listener_;
};

double thread_cpu_s() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct Cost {
  double wall_s = 0;  ///< of an update
  double cpu_s = 0;   ///< of the coordinator's thread
};

Cost measure(const Options& options, const std::string& kind) {
  models::Tridiagonal objective(models::parse_tridiagonal(fmt::format("tridiagonal:{}", options.dimension)),
                                options.workers, 1);
  const auto method = make_method(options.method, {.workers = options.workers, .lr = 1e-3});
  const bool wall = options.clock == "wall";
  const Delays delays =
      Delays::parse(wall && options.rate == 0 ? "measured" : "linear:1:0", options.workers, 1);
  const EventScript speeds;
  RunOptions run;
  run.lr = 1e-3;
  run.clock = wall ? ClockKind::wall : ClockKind::virtual_time;
  if (options.rate > 0) run.time_unit_s = options.workers / options.rate;
  run.completions = Completions::callback;  // polling would take all the CPU time there is
  run.time_jobs = kind != "nothing";
  run.time_limit = wall ? options.seconds : options.seconds * 100'000 / options.workers;
  const Telemetry telemetry(kind, options.workers);
  BufferedObserver buffered(telemetry.observers());  // as train does
  Coordinator coordinator(
      objective, *method,
      make_execution(objective, method->memory(), delays, speeds, Devices(parse_devices("cpu:2")), run), run,
      {&buffered});
  std::vector<float> model(objective.dimension());
  objective.initialise(model, 1);
  const double cpu_before_s = thread_cpu_s();
  const RunSummary summary = coordinator.run(model, {});
  const auto updates = static_cast<double>(summary.updates);
  return {summary.train_time_s / updates, (thread_cpu_s() - cpu_before_s) / updates};
}

/// The median over the rounds of what `of` makes of a cost and that of nothing in the same round.
template <typename Compare>
double median_of(const std::vector<Cost>& costs, const std::vector<Cost>& nothing, const Compare& of) {
  std::vector<double> values;
  for (std::size_t round = 0; round < costs.size(); ++round) {
    values.push_back(of(costs[round], nothing[round]));
  }
  return bench::median(std::move(values));
}

void compare(const Options& options, const std::string& json) {
  const auto& kinds = Telemetry::kinds();
  std::vector<std::vector<Cost>> costs(kinds.size());
  for (std::size_t round = 0; round <= options.rounds; ++round) {
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      const Cost cost = measure(options, kinds[i]);
      if (round > 0) costs[i].push_back(cost);  // the first warms up
    }
  }
  fmt::print("{} by {} workers, d = {}, {} clock, {} rounds\n{:>10}{:>14}{:>18}{:>22}{:>24}\n",
             options.method, options.workers, options.dimension, options.clock, options.rounds, "observed by",
             "updates/s", "throughput lost", "coordinator, µs/update", "of a core at 5,000/s");
  bench::Measurements measurements("telemetry", "cpu", json);
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const double rate = median_of(costs[i], costs[0], [](Cost cost, Cost) { return 1 / cost.wall_s; });
    const double lost = median_of(costs[i], costs[0],
                                  [](Cost cost, Cost nothing) { return 1 - nothing.wall_s / cost.wall_s; });
    const double cpu_s = median_of(costs[i], costs[0], [](Cost cost, Cost) { return cost.cpu_s; });
    const double more_s =
        median_of(costs[i], costs[0], [](Cost cost, Cost nothing) { return cost.cpu_s - nothing.cpu_s; });
    fmt::print("{:>10}{:>14.0f}{:>16.2f} %{:>22.2f}{:>22.2f} %\n", kinds[i], rate, 100 * lost, 1e6 * cpu_s,
               100 * more_s * 5000);
    measurements.add({{"observed_by", kinds[i]}, {"clock", options.clock}, {"rate", options.rate}},
                     {{"updates_per_s", rate}, {"throughput_lost", lost}, {"more_cpu_s_per_update", more_s}});
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::string json;
  CLI::App app("What telemetry costs a run of a quadratic.");
  app.add_option("--method", options.method)->check(CLI::IsMember(method_names()))->capture_default_str();
  app.add_option("--clock", options.clock)->check(CLI::IsMember({"wall", "virtual"}))->capture_default_str();
  app.add_option("--workers", options.workers)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--dimension", options.dimension)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--rate", options.rate, "Updates a second, in wall time; 0: as many as there can be")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Of a run; in virtual time, 100,000 updates for each")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--json", json, "Adds what was measured to this file, a JSON object a line");
  CLI11_PARSE(app, argc, argv);
  try {
    compare(options, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "telemetry_bench: {}\n", error.what());
    return 2;
  }
}
