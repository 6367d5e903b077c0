#include "tools/advise/measured_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <numeric>

#include "runtime/base/json_text.h"
#include "runtime/base/refuse_file.h"
#include "runtime/events/recording.h"
#include "runtime/telemetry/run_log_reader.h"
#include "tools/options/option_records.h"
#include "tools/options/option_values.h"
#include "tools/train/run_setup.h"

namespace tardigrad {
namespace {

constexpr std::size_t least_jobs = 8;  // of a worker

using RunJson = nlohmann::ordered_json;

/// Collects what a log or a recording tells of jobs.
class Collector final : public RunObserver {
 public:
  explicit Collector(MeasuredRun& run) : run_(run) {}

  void on_gradient(const GradientRecord& record) override {
    add(record.job, record.job.compute_time + record.queue_time);
  }
  void on_arrival(const JobRecord& record) override { add(record, record.compute_time); }
  void on_discard(const JobRecord& record) override { ++run_.discarded[index_of(record)]; }
  void on_evaluation(const EvaluationRecord& record) override {
    run_.evaluations.push_back(record);
    if (record.smoothness) run_.smoothness = record.smoothness;
  }

 private:
  std::size_t index_of(const JobRecord& job) const {
    const auto worker = static_cast<std::size_t>(job.worker);
    if (job.worker >= 0 && worker < run_.durations.size()) return worker;
    refuse_file(run_.file,
                fmt::format("has a job of worker {}, and the run has {}", job.worker, run_.durations.size()));
  }

  void add(const JobRecord& job, double duration) {
    if (!(duration > 0)) {
      refuse_file(run_.file, fmt::format("has a job of worker {} that took {}; expected times above 0",
                                         job.worker, duration));
    }
    run_.durations[index_of(job)].push_back(duration);
    run_.time = std::max(run_.time, job.time);
  }

  MeasuredRun& run_;
};

TrainOptions options_of_run(const std::string& file, const RunJson& record) {
  try {
    return recorded_options(record);
  } catch (const BadValue& bad) {
    refuse_file(file, bad.what());
  }
}

void begin(MeasuredRun& run, const RunJson& record) {
  run.options = options_of_run(run.file, record);
  const int workers = run.options.workers.value_or(0);
  if (workers < 1 || run.options.method.empty() || !(run.options.lr > 0)) {
    refuse_file(run.file,
                "names no method, step size and workers; expected a file written by --log or --record");
  }
  run.durations.resize(static_cast<std::size_t>(workers));
  run.discarded.resize(run.durations.size());
}

void read_recording(MeasuredRun& run, Collector& collector) {
  if (run.file == "-") refuse_file("stdin", "is a recording, which is read twice; expected a file");
  Recording recording(run.file, "--from");
  while (const auto event = recording.next()) {
    if (event->kind == Recording::Event::Kind::arrival) collector.on_arrival(event->record);
  }
}

/// Returns the time with the unit of the run's clock.
std::string describe_time(const MeasuredRun& run, double time) {
  return fmt::format("{} {}", to_three_digits(time), time_unit(run.options));
}

[[noreturn]] void refuse_short(const MeasuredRun& run, std::size_t worker) {
  const std::size_t jobs = run.durations[worker].size();
  std::string expected;
  if (run.discarded[worker] > jobs) {
    expected =
        fmt::format("{} more were thrown away; expected a run by a method that keeps them, such as asgd",
                    run.discarded[worker]);
  } else {
    const double least =
        static_cast<double>(least_jobs) / static_cast<double>(std::max(jobs, std::size_t{1}));
    expected = fmt::format("expected {} or more of each: a run of {}{}", least_jobs,
                           jobs == 0 ? "more than " : "", describe_time(run, run.time * least));
  }
  refuse_file(run.file, fmt::format("holds {} jobs of worker {} in {}; {}", jobs, worker,
                                    describe_time(run, run.time), expected));
}

/// Refuses a log whose first evaluations are not there: a resumed run's, or one that has lost its older
/// parts.
void require_beginning(const MeasuredRun& run, const RunLogReader& log) {
  const bool begins = run.evaluations.empty() || run.evaluations.front().update == 0;
  if (begins && log.has_all_parts()) return;
  refuse_file(run.file,
              "does not begin where its run does; expected the log of a run from its first update on");
}

void require_jobs(const MeasuredRun& run) {
  const auto jobs = [](const std::vector<double>& durations) { return durations.size(); };
  const auto fewest = std::ranges::min_element(run.durations, {}, jobs);
  if (std::ranges::max(run.durations, {}, jobs).empty()) {
    refuse_file(run.file, "holds no jobs; expected a log with --log-detail jobs, or a recording");
  }
  if (fewest->size() < least_jobs) {
    refuse_short(run, static_cast<std::size_t>(fewest - run.durations.begin()));
  }
}

double mean(const std::vector<double>& values) {
  return std::reduce(values.begin(), values.end()) / static_cast<double>(values.size());
}

/// Returns Σ (a_j − m)(a_{j+lag} − m) over the jobs j for which there is one.
double covariance(const std::vector<double>& values, std::size_t lag) {
  const double centre = mean(values);
  double sum = 0;
  for (std::size_t job = 0; job + lag < values.size(); ++job) {
    sum += (values[job] - centre) * (values[job + lag] - centre);
  }
  return sum;
}

}  // namespace

std::string to_three_digits(double time) {
  constexpr double three_digits = 100;
  if (!std::isfinite(time)) return "-";
  return time < three_digits ? fmt::format("{:.3g}", time) : fmt::format("{:.0f}", time);
}

MeasuredRun read_measured_run(const std::string& file) {
  MeasuredRun run;
  run.file = file;
  Collector collector(run);
  RunLogReader log(file);
  const auto record = parse_own_json<RunJson>(log.run_json());
  begin(run, record);
  if (record.contains("command")) {  // which a recording does not
    log.tell(collector);
    require_beginning(run, log);
  } else {
    read_recording(run, collector);
  }
  require_jobs(run);
  return run;
}

std::string trace_text(const MeasuredRun& run) {
  std::string text;
  for (std::size_t worker = 0; worker < run.durations.size(); ++worker) {
    for (const double duration : run.durations[worker]) {
      text += json_text(nlohmann::ordered_json{{"worker", worker}, {"compute_time", duration}}) + "\n";
    }
  }
  return text;
}

std::string describe_delays(const MeasuredRun& run) {
  std::vector<double> means;
  double squares = 0;
  double variation = 0;
  double resemblance = 0;
  for (const std::vector<double>& durations : run.durations) {
    means.push_back(mean(durations));
    const double variance = covariance(durations, 0);
    squares += variance;
    resemblance += covariance(durations, 1);
    variation += std::sqrt(variance / static_cast<double>(durations.size())) / means.back();
  }
  const auto [fastest, slowest] = std::ranges::minmax(means);
  std::string text =
      fmt::format("a gradient takes {} to {}, by the worker; the times of one vary by {:.0f} %",
                  describe_time(run, fastest), describe_time(run, slowest),
                  100 * variation / static_cast<double>(means.size()));
  if (squares > 0) text += fmt::format(", correlation with the one before {:.2f}", resemblance / squares);
  return text;
}

}  // namespace tardigrad
