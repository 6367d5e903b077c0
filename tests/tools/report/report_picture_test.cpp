#include <gmock/gmock.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/base/json_text.h"
#include "tools/report/run_picture.h"

namespace tardigrad {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

std::string run_line(int workers, bool table = false, const std::string& method = "asgd") {
  return json_text(
      json{{"event", "run"}, {"method", method}, {"workers", workers}, {"clock", "wall"}, {"table", table}});
}

/// Tells a picture of jobs, and counts what there is to count.
class ToldRun {
 public:
  explicit ToldRun(int workers, bool table = false, const std::string& method = "asgd")
      : picture_(run_line(workers, table, method)), jobs_(static_cast<std::size_t>(workers)) {}

  struct Times {
    double start = 0;
    double end = 0;
    double hand_over = 0;
    double queue = 0;
  };

  void gradient(int worker, const Times& times, std::uint64_t version, bool updates = true) {
    GradientRecord gradient;
    gradient.job = {worker, jobs_[static_cast<std::size_t>(worker)]++, version, times.end,
                    times.end - times.start};
    gradient.staleness = update_ - version;
    gradient.hand_over_time = times.hand_over;
    gradient.queue_time = times.queue;
    gradient.gradients = ++gradients_;
    gradient.loss = 0.5F;
    if (updates) gradient.update = ++update_;
    picture_.on_gradient(gradient);
    if (!updates) return;
    UpdateRecord update;
    update.update = update_;
    update.time = times.end;
    update.worker = worker;
    update.gradients = gradients_;
    picture_.on_update(update);
  }

  void discard(int worker, const Times& times) {
    picture_.on_discard(
        {worker, jobs_[static_cast<std::size_t>(worker)]++, 0, times.end, times.end - times.start});
  }

  void evaluation(double time) {
    EvaluationRecord evaluation;
    evaluation.time = time;
    evaluation.update = update_;
    picture_.on_evaluation(evaluation);
  }

  RunPicture& picture() { return picture_; }
  json result() const { return parse_own_json(picture_.json()); }

 private:
  RunPicture picture_;
  std::vector<std::uint64_t> jobs_;
  std::uint64_t update_ = 0;
  std::uint64_t gradients_ = 0;
};

TEST(RunPicture, SumsUpAShortRunExactly) {
  ToldRun run(2);
  run.gradient(0, {.start = 0, .end = 1, .hand_over = 0.25, .queue = 0.125}, 0);
  run.gradient(0, {.start = 1.5, .end = 2.5}, 1);
  run.gradient(1, {.start = 0, .end = 3}, 0);
  run.discard(1, {.start = 3, .end = 4});
  const json picture = run.result();
  EXPECT_EQ(picture["time"], 4.0);
  EXPECT_EQ(picture["updates"], 3);
  const json& first = picture["workers"][0];
  EXPECT_EQ(first["gradients"], 2);
  EXPECT_EQ(first["computing"], 1.75);
  EXPECT_EQ(first["hand_over"], 0.25);
  EXPECT_EQ(first["queue"], 0.125);
  EXPECT_EQ(first["waiting"], 0.375);  // what it has done since its last job is not known
  EXPECT_EQ(first["time"], 2.5);
  const json& second = picture["workers"][1];
  EXPECT_EQ(second["discarded"], 1.0);
  EXPECT_EQ(second["discarded_jobs"], 1);
  EXPECT_EQ(second["waiting"], 0.0);
  EXPECT_EQ(second["staleness"]["counts"], parse_own_json("[[2, 1]]"));
  EXPECT_EQ(picture["progress"]["update"], json({1, 2, 3}));
  EXPECT_EQ(picture["summary"], json(nullptr));
  EXPECT_EQ(picture["row_ages"], json(nullptr));
}

TEST(RunPicture, KeepsEveryJobOfAShortRunOnItsTimeline) {
  ToldRun run(2);
  run.gradient(0, {.start = 0, .end = 1, .hand_over = 0.25, .queue = 0.125}, 0);
  run.gradient(0, {.start = 1.5, .end = 2.5}, 1);
  run.discard(1, {.start = 0, .end = 2});
  const json timeline = run.result()["timeline"];
  EXPECT_EQ(timeline["tick"], 0.001);
  EXPECT_EQ(timeline["cells"], json(nullptr));
  ASSERT_EQ(timeline["windows"].size(), 1U);
  const json& row = timeline["windows"][0]["rows"][0];
  EXPECT_EQ(row["gap"], json({0, 500}));
  EXPECT_EQ(row["busy"], json({1000, 1000}));
  EXPECT_EQ(row["hand_over"], json({250, 0}));
  EXPECT_EQ(row["queue"], json({125, 0}));
  EXPECT_EQ(row["version"], json({0, 1}));
  EXPECT_EQ(timeline["windows"][0]["rows"][1]["discarded"], json({0}));
}

TEST(RunPicture, ShowsTheJobThatTheEndOfTheRunCutOff) {
  ToldRun run(1);
  run.gradient(0, {.start = 0, .end = 4}, 0);
  RunSummary summary;
  summary.time = 10;
  summary.workers = {{.worker = 0,
                      .device = "cpu:3",
                      .jobs = 1,
                      .mean_compute_time = 4,
                      .busy_share = 0.75,
                      .staleness = {}}};
  run.picture().on_summary(summary);
  const json picture = run.result();
  EXPECT_DOUBLE_EQ(picture["workers"][0]["unfinished"], 3.5);
  EXPECT_EQ(picture["workers"][0]["device"], "cpu:3");
  EXPECT_DOUBLE_EQ(picture["workers"][0]["waiting"], 2.5);
  EXPECT_DOUBLE_EQ(picture["timeline"]["rows"][0]["unfinished"], 6.5);
}

TEST(RunPicture, TakesWorkersFromTheSummaryWhereNoJobsWereTold) {
  RunPicture picture(run_line(1));
  EXPECT_EQ(parse_own_json(picture.json())["workers"], json(nullptr));
  RunSummary summary;
  summary.time = 10;
  WorkerRecord worker{
      .worker = 0, .device = "cpu:0", .jobs = 4, .mean_compute_time = 2, .busy_share = 1, .staleness = {}};
  worker.discarded_share = 0.1;
  worker.mean_hand_over_time = 0.5;
  worker.staleness.add(7);
  summary.workers = {worker};
  picture.on_summary(summary);
  const json known = parse_own_json(picture.json())["workers"][0];
  EXPECT_EQ(known["computing"], 6.0);
  EXPECT_EQ(known["hand_over"], 2.0);
  EXPECT_EQ(known["discarded"], 1.0);
  EXPECT_EQ(known["unfinished"], 1.0);
  EXPECT_EQ(known["staleness"]["max"], 7);
  EXPECT_EQ(parse_own_json(picture.json())["timeline"], json(nullptr));
}

TEST(RunPicture, KnowsHowOldTheRowsOfATableAre) {
  ToldRun run(2, true, "dude");
  run.gradient(0, {.start = 0, .end = 1}, 0, false);
  run.gradient(1, {.start = 0, .end = 2}, 0);  // update 1, of rows at version 0
  run.gradient(0, {.start = 2, .end = 3}, 1);  // 2: the other row is of version 0, one old
  run.gradient(0, {.start = 3, .end = 4}, 2);  // 3: two old
  const json ages = run.result()["row_ages"];
  EXPECT_EQ(ages["update"], json({1, 2, 3}));
  EXPECT_EQ(ages["max"], json({0, 1, 2}));
  EXPECT_EQ(ages["mean"], json({0.0, 0.5, 1.0}));
}

TEST(RunPicture, CountsGradientsForTheNextRoundOfRingleaderWhenThatBegins) {
  ToldRun run(2, true, "ringleader");
  run.gradient(0, {.start = 0, .end = 1}, 0, false);
  run.gradient(1, {.start = 0, .end = 2}, 0);         // update 1; worker 0 is pending
  run.gradient(1, {.start = 2, .end = 3}, 1, false);  // for the next round
  run.gradient(0, {.start = 1, .end = 4}, 0);  // update 2: both rows still of version 0; the tables change
  run.gradient(0, {.start = 4, .end = 5}, 2);  // update 3: rows of versions 2 and 1
  EXPECT_EQ(run.result()["row_ages"]["max"], json({0, 1, 1}));
  EXPECT_EQ(run.result()["row_ages"]["mean"], json({0.0, 1.0, 0.5}));
}

TEST(RunPicture, StaysAsLargeHoweverLongTheRun) {
  const auto size_after = [](int gradients) {
    ToldRun run(4, true, "dude");
    for (int i = 0; i < gradients; ++i) {
      const double end = 0.001 * (i + 4);
      run.gradient(i % 4, {.start = end - 0.004, .end = end, .hand_over = 0.0005},
                   static_cast<std::uint64_t>(std::max(0, i - 3)));
      if (i % 10 == 0) run.evaluation(end);
    }
    return run.picture().json().size();
  };
  const std::size_t size = size_after(40'000);
  EXPECT_LT(static_cast<double>(size_after(400'000)), 1.1 * static_cast<double>(size));
  EXPECT_LT(size, 600'000U);
}

TEST(RunPicture, KeepsTheTimeOfEachActivityInALongRun) {
  ToldRun run(2);
  constexpr int jobs = 20'000;  // of worker 0, more than the timeline keeps one by one
  for (int i = 0; i < jobs; ++i) {
    run.gradient(0, {.start = 1.0 * i, .end = i + 0.5, .hand_over = 0.25}, static_cast<std::uint64_t>(i));
  }
  run.discard(1, {.start = 0, .end = jobs});
  const json cells = run.result()["timeline"]["cells"];
  const double width = cells["width"];
  const auto time_of = [&](int row, const char* activity) {
    const std::vector<int> shares = cells["rows"][row][activity];
    return std::accumulate(shares.begin(), shares.end(), 0) * width / 1000;
  };
  // Shares are in thousandths of a cell.
  EXPECT_NEAR(time_of(0, "computing"), jobs * 0.25, jobs * 0.001);
  EXPECT_NEAR(time_of(0, "hand_over"), jobs * 0.25, jobs * 0.001);
  EXPECT_NEAR(time_of(1, "discarded"), jobs, jobs * 0.001);
  EXPECT_FALSE(cells["rows"][0].contains("discarded"));
}

TEST(RunPicture, HasTheFirstJobsAndThoseOfLateOneByOne) {
  ToldRun run(1);
  const auto jobs = static_cast<int>(3 * Timeline::window_jobs);
  for (int i = 0; i < jobs; ++i) run.gradient(0, {.start = 1.0 * i, .end = i + 1.0}, 0);
  const json windows = run.result()["timeline"]["windows"];
  ASSERT_EQ(windows.size(), 2U);
  EXPECT_EQ(windows[0]["rows"][0]["job"], 0);
  EXPECT_EQ(windows[0]["rows"][0]["busy"].size(), Timeline::window_jobs);
  EXPECT_EQ(windows[1]["rows"][0]["job"], 2 * Timeline::window_jobs);
  EXPECT_EQ(windows[1]["from"], 2.0 * Timeline::window_jobs);
}

TEST(RunPicture, ShowsSomeOfVeryManyWorkers) {
  ToldRun run(10'000);
  for (int worker = 0; worker < 10'000; ++worker) run.gradient(worker, {.start = 0, .end = 1}, 0);
  const json timeline = run.result()["timeline"];
  EXPECT_EQ(timeline["rows"].size(), static_cast<std::size_t>(Timeline::most_rows));
  EXPECT_EQ(timeline["jobs"], Timeline::most_rows);
  EXPECT_EQ(timeline["rows"][128]["worker"], 5000);
}

TEST(RunPicture, RefusesWhatMakesNoSense) {
  EXPECT_THROW(RunPicture("{}"), std::invalid_argument);
  EXPECT_THROW(RunPicture("no JSON"), std::invalid_argument);
  EXPECT_THROW(RunPicture(run_line(0)), std::invalid_argument);
  ToldRun run(2);
  EXPECT_THROW(run.picture().on_discard({.worker = 2}), std::invalid_argument);
}

struct Point {
  std::vector<int> values;
  void merge(const Point& later) { values.insert(values.end(), later.values.begin(), later.values.end()); }
};

TEST(BoundedSeries, MergesNeighboursWhenItIsFull) {
  BoundedSeries<Point> series(4);
  for (int i = 0; i < 7; ++i) series.add({{i}});
  EXPECT_EQ(series.stride(), 2U);
  ASSERT_EQ(series.points().size(), 4U);
  EXPECT_THAT(series.points()[1].values, ElementsAre(2, 3));
  EXPECT_THAT(series.points()[3].values, ElementsAre(6));
  for (int i = 7; i < 9; ++i) series.add({{i}});
  EXPECT_EQ(series.stride(), 4U);
  EXPECT_THAT(series.points()[0].values, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(series.points()[2].values, ElementsAre(8));
}

TEST(RunPicture, ShowsWorkersLostAndBackAsWarnings) {
  ToldRun run(2);
  run.picture().on_worker_change({1, true, 3, 2.0, "no answer in 5 s"});
  run.picture().on_worker_change({1, false, 4, 2.5, "by the script"});
  const json warnings = run.result()["warnings"];
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_EQ(warnings[0],
            (json{{"update", 3}, {"time", 2.0}, {"text", "worker 1 is lost: no answer in 5 s"}}));
  EXPECT_EQ(warnings[1]["text"], "worker 1 is back: by the script");
}

TEST(RunPicture, KeepsTheFirstWarningsAndTheLast) {
  ToldRun run(1);
  EXPECT_TRUE(run.result()["warnings"].empty());
  for (std::uint64_t update = 1; update <= 1000; ++update) {
    run.picture().on_warning(
        {.kind = Warning::Kind::old_row, .update = update, .time = 2, .text = "\"old\" row"});
  }
  const json warnings = run.result()["warnings"];
  ASSERT_EQ(warnings.size(), 50U);
  EXPECT_EQ(warnings[0], (json{{"update", 1}, {"time", 2.0}, {"text", "\"old\" row"}}));
  EXPECT_EQ(warnings[49]["update"], 1000);
}

TEST(RunPicture, HoldsWhatEvaluationsMeasuredBesides) {
  ToldRun run(1);
  EvaluationRecord evaluation;
  run.picture().on_evaluation(evaluation);
  evaluation.update = 1;
  evaluation.evaluation.objective = 0.5;
  evaluation.evaluation.gradient_norm_sq = 0.125;
  run.picture().on_evaluation(evaluation);
  const json evaluations = run.result()["evaluations"];
  EXPECT_EQ(evaluations["objective"], json({nullptr, 0.5}));
  EXPECT_EQ(evaluations["gradient_norm_sq"], json({nullptr, 0.125}));
}

}  // namespace
}  // namespace tardigrad
