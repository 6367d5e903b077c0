// What programs that watch a run are told: metrics for Prometheus, and its health.

#include "tools/live/run_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "runtime/base/json_text.h"
#include "tests/tools/live/exposition_parser.h"
#include "tools/live/exposition.h"

namespace tardigrad {
namespace {

using namespace std::chrono_literals;
using testing::ExpositionParser;
using testing::Metric;

const std::string run_record =
    R"({"method":"dude","model":"quadratic:a\\b \"c\"\nd.json","dataset":"","clock":"wall","lr":0.25,)"
    R"("seed":7,"workers":2,"version":"1.2"})";

/// A run of two workers.
class RunStatus : public ::testing::Test {
 protected:
  using SteadyClock = RunValues::SteadyClock;

  void gradient(int worker, double time, double compute_time, std::uint64_t staleness) {
    GradientRecord record{.job = {.worker = worker, .time = time, .compute_time = compute_time}};
    record.staleness = staleness;
    record.gradients = ++gradients_;
    metrics_.on_gradient(record);
  }

  void update(float loss) {
    UpdateRecord record;
    record.update = ++updates_;
    record.lr = 0.25;
    record.loss = loss;
    metrics_.on_update(record);
  }

  void evaluate(double loss, std::optional<double> accuracy) {
    EvaluationRecord record;
    record.update = updates_;
    record.gradients = gradients_;
    record.evaluation.loss = loss;
    record.evaluation.accuracy = accuracy;
    metrics_.on_evaluation(record);
  }

  void change(int worker, bool lost, double time) {
    metrics_.on_worker_change({.worker = worker, .lost = lost, .time = time, .reason = "a test"});
  }

  std::string text(std::optional<double> checkpoint_age_s = std::nullopt) const {
    return metrics_text(run_record, metrics_.values(), checkpoint_age_s, SteadyClock::now());
  }

  std::map<std::string, Metric> parsed(std::optional<double> checkpoint_age_s = std::nullopt) const {
    return ExpositionParser::parse(text(checkpoint_age_s));
  }

  double value(const std::string& name) const {
    const auto metrics = parsed();
    const auto found = metrics.find(name);
    return found == metrics.end() ? std::nan("") : found->second.samples.at(0).value;
  }

  nlohmann::json health(SteadyClock::duration later = {}) const {
    const LiveText::Answer answer = health_answer(metrics_.values(), SteadyClock::now() + later);
    auto json = parse_own_json(answer.text);
    json["status"] = answer.status;
    return json;
  }

  RunMetrics metrics_{run_record};
  std::uint64_t gradients_ = 0;
  std::uint64_t updates_ = 0;
};

TEST_F(RunStatus, MetricsBeforeTheFirstGradientAreWellFormed) {
  const auto metrics = parsed();
  EXPECT_EQ(metrics.at("tardigrad_updates_total").samples.at(0).value, 0);
  EXPECT_EQ(metrics.at("tardigrad_workers").samples.at(0).value, 2);
  for (const char* unknown : {"tardigrad_loss", "tardigrad_accuracy_ratio", "tardigrad_workers_idle_ratio",
                              "tardigrad_work_discarded_ratio", "tardigrad_checkpoint_age_seconds",
                              "tardigrad_arrival_age_seconds"}) {
    EXPECT_FALSE(metrics.contains(unknown)) << unknown;
  }
}

TEST_F(RunStatus, TheRunIsToldByLabelsThatAreEscaped) {
  const Metric info = parsed().at("tardigrad_run_info");
  EXPECT_EQ(info.samples.at(0).value, 1);
  EXPECT_EQ(info.samples.at(0).labels.at("model"), "quadratic:a\\b \"c\"\nd.json");
  EXPECT_EQ(info.samples.at(0).labels.at("lr"), "0.25");
  EXPECT_EQ(info.samples.at(0).labels.at("seed"), "7");
  EXPECT_EQ(info.samples.at(0).labels.at("version"), "1.2");
}

TEST_F(RunStatus, CountsAndLatestValues) {
  gradient(0, 1, 1, 0);
  update(4);
  gradient(1, 2, 2, 1);
  update(2);
  metrics_.on_discard({.worker = 0, .time = 4, .compute_time = 1});
  evaluate(0.5, 0.75);
  evaluate(0.25, 0.875);
  EXPECT_EQ(value("tardigrad_updates_total"), 2);
  EXPECT_EQ(value("tardigrad_gradients_total"), 2);
  EXPECT_EQ(value("tardigrad_jobs_discarded_total"), 1);
  EXPECT_EQ(value("tardigrad_evaluations_total"), 2);
  EXPECT_EQ(value("tardigrad_loss"), 0.25);
  EXPECT_EQ(value("tardigrad_accuracy_ratio"), 0.875);
  EXPECT_EQ(value("tardigrad_evaluated_update"), 2);
  EXPECT_DOUBLE_EQ(value("tardigrad_minibatch_loss"), 0.98 * 4 + 0.02 * 2);
  EXPECT_EQ(value("tardigrad_step_size"), 0.25);
  EXPECT_EQ(value("tardigrad_run_time_seconds"), 4);
  // Worker 0 worked for 2 of its 4 s, worker 1 for all of its 2 s.
  EXPECT_DOUBLE_EQ(value("tardigrad_workers_idle_ratio"), 1 - 4.0 / 6);
  EXPECT_DOUBLE_EQ(value("tardigrad_work_discarded_ratio"), 1.0 / 4);
}

TEST_F(RunStatus, StalenessIsASummary) {
  for (std::uint64_t i = 1; i <= 10; ++i) gradient(0, static_cast<double>(i), 1, i == 10 ? 40 : i);
  std::map<std::string, double> values;
  const Metric staleness = parsed().at("tardigrad_staleness_updates");
  for (const Metric::Sample& sample : staleness.samples) {
    values[sample.labels.empty() ? sample.name : sample.labels.at("quantile")] = sample.value;
  }
  const std::map<std::string, double> expected = {{"0.5", 5},
                                                  {"0.9", 9},
                                                  {"0.99", 40},
                                                  {"1", 40},
                                                  {"tardigrad_staleness_updates_sum", 85},
                                                  {"tardigrad_staleness_updates_count", 10}};
  EXPECT_EQ(values, expected);
}

TEST_F(RunStatus, LostWorkersAreCountedNowAndEver) {
  gradient(0, 1, 1, 0);
  gradient(1, 1, 1, 0);
  change(1, true, 2);
  EXPECT_EQ(value("tardigrad_workers_lost"), 1);
  change(1, false, 100);
  gradient(1, 101, 1, 0);
  EXPECT_EQ(value("tardigrad_workers_lost"), 0);
  EXPECT_EQ(value("tardigrad_worker_failures_total"), 1);
  EXPECT_EQ(value("tardigrad_worker_returns_total"), 1);
  EXPECT_EQ(value("tardigrad_workers_idle_ratio"), 0);  // a worker that was away was not idle
}

TEST_F(RunStatus, WarningsAreCountedByKind) {
  metrics_.on_warning({.kind = Warning::Kind::old_row, .text = "a test"});
  metrics_.on_warning({.kind = Warning::Kind::old_row, .text = "a test"});
  std::map<std::string, double> counts;
  const Metric warnings = parsed().at("tardigrad_warnings_total");
  for (const Metric::Sample& sample : warnings.samples) counts[sample.labels.at("kind")] = sample.value;
  EXPECT_EQ(counts.size(), 6U);
  EXPECT_EQ(counts.at("old-row"), 2);
  EXPECT_EQ(counts.at("step-size"), 0);
}

TEST_F(RunStatus, AgesAreInSeconds) {
  gradient(0, 1, 1, 0);
  const auto later = SteadyClock::now() + 90s;
  const auto metrics = ExpositionParser::parse(metrics_text(run_record, metrics_.values(), 12.5, later));
  EXPECT_NEAR(metrics.at("tardigrad_arrival_age_seconds").samples.at(0).value, 90, 30);
  EXPECT_EQ(metrics.at("tardigrad_checkpoint_age_seconds").samples.at(0).value, 12.5);
}

TEST_F(RunStatus, AResumedRunCountsOnFromItsCheckpointAndIsNotIdleBefore) {
  gradients_ = 1000;
  updates_ = 900;
  evaluate(1, std::nullopt);
  EXPECT_EQ(value("tardigrad_updates_total"), 900);
  gradient(0, 501, 1, 0);
  EXPECT_EQ(value("tardigrad_gradients_total"), 1001);
  EXPECT_EQ(value("tardigrad_workers_idle_ratio"), 0);
}

TEST_F(RunStatus, ValuesThatAreNotFiniteHaveTheirNames) {
  evaluate(std::numeric_limits<double>::infinity(), std::nan(""));
  EXPECT_EQ(value("tardigrad_loss"), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(parsed().at("tardigrad_accuracy_ratio").samples.at(0).value));
}

TEST_F(RunStatus, HealthFollowsTheRun) {
  EXPECT_EQ(health().at("state"), "starting");
  EXPECT_EQ(health().at("status"), 200);
  EXPECT_TRUE(health().at("seconds_since_arrival").is_null());
  gradient(0, 1, 1, 0);
  update(1);
  EXPECT_EQ(health().at("state"), "running");
  EXPECT_EQ(health().at("status"), 200);
  EXPECT_EQ(health().at("update"), 1);
  EXPECT_GE(health().at("seconds_since_arrival"), 0);
  RunSummary summary;
  summary.updates = 5;
  metrics_.on_summary(summary);
  EXPECT_EQ(health(24h).at("state"), "ended");
  EXPECT_EQ(health(24h).at("status"), 200);
}

TEST_F(RunStatus, ARunThatIsSilentForLongIsNotWell) {
  EXPECT_EQ(health(9min).at("state"), "starting");
  EXPECT_EQ(health(11min).at("status"), 503);
  gradient(0, 1, 1, 0);
  EXPECT_EQ(health(50s).at("status"), 200);
  EXPECT_EQ(health(2min).at("state"), "stalled");
  EXPECT_EQ(health(2min).at("status"), 503);
  EXPECT_GE(health(2min).at("seconds_since_arrival"), 100);
  RunValues slow = metrics_.values();
  slow.longest_pause = 1min;
  EXPECT_EQ(health_answer(slow, slow.latest_sign + 9min).status, 200);
  EXPECT_EQ(health_answer(slow, slow.latest_sign + 11min).status, 503);
}

TEST_F(RunStatus, ARunWithoutWorkersIsNotWell) {
  gradient(0, 1, 1, 0);
  change(0, true, 1);
  EXPECT_EQ(health().at("status"), 200);
  EXPECT_EQ(health().at("lost_workers"), 1);
  change(1, true, 1);
  EXPECT_EQ(health().at("status"), 503);
  EXPECT_EQ(health().at("state"), "no worker left");
}

TEST(RunMetrics, ARecordWithoutWorkersIsRefused) {
  EXPECT_THROW(RunMetrics("{}"), std::invalid_argument);
  EXPECT_THROW(RunMetrics("no JSON"), std::invalid_argument);
}

// ---- The parser, which is to find what is wrong ----

class BadExposition : public ::testing::TestWithParam<const char*> {};

TEST_P(BadExposition, IsFound) { EXPECT_THROW(ExpositionParser::parse(GetParam()), std::runtime_error); }

INSTANTIATE_TEST_SUITE_P(
    Cases, BadExposition,
    ::testing::Values("# HELP a b\n# TYPE a gauge\na 1",                                 // no end
                      "# HELP a b\n# TYPE a gauge\n",                                    // no sample
                      "# TYPE a gauge\na 1\n", "a 1\n",                                  // no help
                      "# HELP a b\n# TYPE a counter\na 1\n",                             // no _total
                      "# HELP a_total b\n# TYPE a_total gauge\na_total 1\n",             // no counter
                      "# HELP a_total b\n# TYPE a_total counter\na_total -1\n",          // below 0
                      "# HELP a b\n# TYPE a gauge\nb 1\n",                               // of another
                      "# HELP a b\n# TYPE a gauge\na 1\na 2\n",                          // twice
                      "# HELP a b\n# TYPE a gauge\na inf\n",                             // not its name
                      "# HELP a b\n# TYPE a gauge\na{b=\"c\"d\"} 1\n",                   // a quote
                      "# HELP a b\n# TYPE a gauge\na{b=\"\\x\"} 1\n",                    // an escape
                      "# HELP a b\n# TYPE a gauge\na{b=\"c\",} 1\n",                     // a comma
                      "# HELP a b\n# TYPE a gauge\na{b=\"c\",b=\"d\"} 1\n",              // a label twice
                      "# HELP a b\n# TYPE a summary\na{quantile=\"0.5\"} 1\na_sum 1\n",  // no count
                      "# HELP a b\n# TYPE a summary\na_sum 1\na_count 1\na 1\n",         // no quantile
                      "# HELP a b\n# TYPE a gauge\na 1\n# HELP c d\n# TYPE c gauge\nc 1\n"
                      "# HELP a b\n# TYPE a gauge\na{b=\"c\"} 1\n"));  // in two pieces

}  // namespace
}  // namespace tardigrad
