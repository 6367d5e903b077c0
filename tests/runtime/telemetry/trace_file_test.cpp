#include "runtime/telemetry/trace_file.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/base/json_text.h"
#include "tests/support/experiment.h"
#include "tests/support/temporary_file.h"
#include "tests/support/without_times.h"

namespace tardigrad {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* run_record = R"({"method":"any","clock":"wall","command":"tardigrad train"})";
constexpr std::uint64_t plenty = 64 << 20;

/// What came to an end in a run.
struct Told final : RunObserver {
  void on_gradient(const GradientRecord& record) override { gradients.push_back(record); }
  void on_update(const UpdateRecord& record) override { updates.push_back(record); }
  void on_discard(const JobRecord& record) override { discards.push_back(record); }
  void on_evaluation(const EvaluationRecord&) override { ++evaluations; }

  std::vector<GradientRecord> gradients;
  std::vector<UpdateRecord> updates;
  std::vector<JobRecord> discards;
  std::size_t evaluations = 0;
};

struct Slice {
  std::string name;
  std::int64_t begin_ns;
  std::int64_t end_ns;
  std::size_t position;  // in the file
  json args;
};

struct End {
  int track;
  std::int64_t time_ns;
  std::size_t position;
};

struct Arrow {
  std::string name;
  std::vector<End> from, to;
};

std::int64_t to_ns(const json& microseconds) { return std::llround(microseconds.get<double>() * 1000); }

/// A trace as a viewer sees it.
struct Trace {
  explicit Trace(const std::string& text) {
    const json events = parse_own_json(text);
    std::size_t position = 0;
    for (const json& event : events) add(event, ++position);
    for (auto& [track, of_track] : slices) std::ranges::stable_sort(of_track, {}, &Slice::begin_ns);
  }

  void add(const json& event, std::size_t position) {
    const std::string phase = event.at("ph");
    if (phase == "M" && event.at("name") == "thread_name") tracks[event.at("tid")] = event["args"]["name"];
    if (phase == "M" && event.at("name") == "process_name") {
      processes[event.at("pid")] = event["args"]["name"];
    }
    if (event.contains("tid")) processes_of[event.at("tid")].insert(event.at("pid").get<int>());
    if (phase == "i" && event.at("name") == "evaluation") ++evaluations;
    if (phase == "X") {
      const std::int64_t begin_ns = to_ns(event.at("ts"));
      slices[event.at("tid")].push_back(
          {event.at("name"), begin_ns, begin_ns + to_ns(event.at("dur")), position, event.at("args")});
    }
    if (phase == "s" || phase == "f") {
      Arrow& arrow = arrows[event.at("id")];
      arrow.name = event.at("name");
      (phase == "s" ? arrow.from : arrow.to).push_back({event.at("tid"), to_ns(event.at("ts")), position});
    }
  }

  std::vector<Slice> named(const std::string& name) const {
    std::vector<Slice> all;
    for (const auto& [track, of_track] : slices) {
      std::ranges::copy_if(of_track, std::back_inserter(all), [&](const Slice& s) { return s.name == name; });
    }
    return all;
  }

  /// The slice that an end of an arrow lies in.
  const Slice* around(const End& end) const {
    const auto& of_track = slices.at(end.track);
    auto behind = std::ranges::upper_bound(of_track, end.time_ns, {}, &Slice::begin_ns);
    if (behind == of_track.begin()) return nullptr;
    const Slice& slice = *std::prev(behind);
    return end.time_ns < slice.end_ns && slice.position < end.position ? &slice : nullptr;
  }

  /// The job that a slice begins: itself, or what is computed after the hand-over.
  static const Slice& job_of(const Slice& slice) {
    if (slice.name != "hand-over") return slice;
    return *(&slice + 1);
  }

  std::map<int, std::string> processes;
  std::map<int, std::set<int>> processes_of;  // of each track
  std::map<int, std::string> tracks;
  std::map<int, std::vector<Slice>> slices;
  std::map<std::uint64_t, Arrow> arrows;
  std::size_t evaluations = 0;
};

/// Holds for every trace, whole or not. Counts arrows by name.
std::map<std::string, std::size_t> expect_structure(const Trace& trace) {
  for (const auto& [track, slices] : trace.slices) {
    EXPECT_TRUE(trace.tracks.contains(track)) << track;
    for (std::size_t i = 1; i < slices.size(); ++i) {
      EXPECT_LE(slices[i - 1].end_ns, slices[i].begin_ns) << trace.tracks.at(track) << " " << i;
    }
  }
  std::map<std::string, std::size_t> counts;
  for (const auto& [id, arrow] : trace.arrows) {
    EXPECT_EQ(arrow.from.size(), 1U);
    EXPECT_EQ(arrow.to.size(), 1U);
    if (arrow.from.size() != 1 || arrow.to.size() != 1) continue;
    const End& from = arrow.from.front();
    const End& to = arrow.to.front();
    EXPECT_LE(from.time_ns, to.time_ns);
    EXPECT_LT(from.position, to.position);
    const Slice* source = trace.around(from);
    const Slice* target = trace.around(to);
    EXPECT_TRUE(source && target) << arrow.name << " " << id;
    if (!source || !target) continue;
    ++counts[arrow.name];
    if (arrow.name == "gradient") {
      EXPECT_EQ(source->name, "computing");
      EXPECT_EQ(target->name, "update");
    } else {
      EXPECT_EQ(arrow.name, "model");
      EXPECT_EQ(source->name, "update");
      EXPECT_EQ(source->args.at("update"), Trace::job_of(*target).args.at("version"));
    }
  }
  return counts;
}

/// The arrow from the gradient that made it, for each update: the ends of both agree with the records.
void expect_causes(const Trace& trace, const Told& told) {
  std::map<std::uint64_t, std::set<std::pair<std::string, std::uint64_t>>> causes;  // of updates: jobs
  for (const auto& [id, arrow] : trace.arrows) {
    if (arrow.name != "gradient") continue;
    const Slice* gradient = trace.around(arrow.from.at(0));
    const Slice* update = trace.around(arrow.to.at(0));
    ASSERT_TRUE(gradient && update);
    causes[update->args.at("update")].emplace(trace.tracks.at(arrow.from[0].track), gradient->args.at("job"));
  }
  EXPECT_EQ(causes.size(), told.updates.size());
  for (const GradientRecord& gradient : told.gradients) {
    if (gradient.update == 0) continue;
    EXPECT_TRUE(
        causes[gradient.update].contains({"worker " + std::to_string(gradient.job.worker), gradient.job.job}))
        << gradient.update;
  }
}

void expect_times(const Trace& trace, const Told& told) {
  std::map<std::pair<int, std::uint64_t>, Slice> computed;
  for (const auto& [track, slices] : trace.slices) {
    for (const Slice& slice : slices) {
      if (slice.name == "computing") computed[{track, slice.args.at("job")}] = slice;
    }
  }
  for (const GradientRecord& gradient : told.gradients) {
    const Slice& slice = computed.at({100 + gradient.job.worker, gradient.job.job});
    constexpr double rounding_ns = 2;
    EXPECT_NEAR(slice.end_ns, gradient.job.time * 1e9, rounding_ns);
    EXPECT_NEAR(slice.end_ns - slice.begin_ns, (gradient.job.compute_time - gradient.hand_over_time) * 1e9,
                rounding_ns);
  }
}

void expect_whole(const Trace& trace, const Told& told) {
  auto arrows = expect_structure(trace);
  EXPECT_EQ(trace.named("computing").size(), told.gradients.size());
  EXPECT_EQ(trace.named("update").size(), told.updates.size());
  EXPECT_EQ(trace.named("discarded").size(), told.discards.size());
  EXPECT_EQ(trace.evaluations, told.evaluations);
  std::size_t handed_over = 0;  // by an update, to jobs that came to an end
  for (const GradientRecord& gradient : told.gradients) handed_over += gradient.job.version > 0;
  for (const JobRecord& job : told.discards) handed_over += job.version > 0;
  EXPECT_EQ(arrows["model"], handed_over);
  const auto last = std::ranges::find(told.gradients, told.updates.size(), &GradientRecord::update);
  EXPECT_EQ(arrows["gradient"], last - told.gradients.begin() + 1);
  expect_causes(trace, told);
  expect_times(trace, told);
}

class TraceOfMethod : public ::testing::TestWithParam<std::string> {
 protected:
  static void expect_whole_trace(const std::string& compute_time, RunOptions options) {
    options.evaluate_every_updates = 20;
    options.time_jobs = true;
    testing::MethodExperiment experiment(5, GetParam(), compute_time, options, 2);
    if (GetParam() == "ringmaster") experiment.method_options.delay_threshold = 4;
    const TemporaryFile file;
    TraceFile trace(file.path(), run_record, plenty);
    Told told;
    experiment.observers = {&trace, &told};
    experiment.go();
    EXPECT_EQ(trace.note(), "");
    ASSERT_GE(told.updates.size(), 60U);
    expect_whole(Trace(testing::read_file(file.path())), told);
    if (GetParam() == "ringmaster" || GetParam() == "malenia") {
      EXPECT_FALSE(told.discards.empty());
    }
  }
};

TEST_P(TraceOfMethod, ShowsAllOfARunInVirtualTime) {
  expect_whole_trace("1,1.5,2,4,40", testing::in_virtual_time(60));
}

TEST_P(TraceOfMethod, ShowsAllOfARunInWallTime) {
  RunOptions options = testing::in_wall_time(60);
  options.time_unit_s = 1e-4;
  expect_whole_trace("1,1.5,2,4,40", options);
}

INSTANTIATE_TEST_SUITE_P(All, TraceOfMethod, ::testing::ValuesIn(method_names()), testing::method_title);

TEST(TraceFile, HasAProcessForEachRank) {
  testing::MethodExperiment experiment(3, "dude", "1,2,3", testing::in_virtual_time(30), 1);
  const TemporaryFile file;
  TraceFile trace(file.path(), R"({"method":"dude","clock":"wall","rank_of_worker":[1,2,1]})", plenty);
  experiment.observers = {&trace};
  experiment.go();
  const Trace read(testing::read_file(file.path()));
  EXPECT_EQ(read.processes,
            (std::map<int, std::string>{{1, "rank 0: tardigrad dude"}, {2, "rank 1"}, {3, "rank 2"}}));
  for (const auto& [track, processes] : read.processes_of) {
    const std::string& name = read.tracks.at(track);
    const int process = name == "worker 1" ? 3 : name.starts_with("worker") ? 2 : 1;
    EXPECT_EQ(processes, (std::set<int>{process})) << name;
  }
  expect_structure(read);
}

// Updates of one moment are drawn side by side; no arrow points back in time.
TEST(TraceFile, DrawsArrivalsOfOneMoment) {
  const TemporaryFile file;
  TraceFile trace(file.path(), run_record, plenty);
  Told told;
  testing::Experiment experiment(40, "asgd", "linear:1:0", testing::in_virtual_time(400));
  experiment.observers = {&trace, &told};
  experiment.go();
  expect_whole(Trace(testing::read_file(file.path())), told);
}

TEST(TraceFile, OfVeryManyGradientsOfAnUpdateItShowsTheLatest) {
  const TemporaryFile file;
  TraceFile trace(file.path(), run_record, plenty);
  testing::Experiment experiment(1500, "sync", "linear:1:0.001", testing::in_virtual_time(3));
  experiment.observers = {&trace};
  experiment.go();
  auto arrows = expect_structure(Trace(testing::read_file(file.path())));
  EXPECT_EQ(arrows["gradient"], 3 * 1000U);
  EXPECT_EQ(arrows["model"], 2 * 1500U);
}

class BoundedTrace : public ::testing::TestWithParam<std::string> {
 protected:
  static constexpr std::uint64_t limit_bytes = TraceFile::smallest_limit_bytes;

  Trace trace_of_run(const RunOptions& options) {
    testing::Experiment experiment(4, GetParam(), "1,1.5,2,40", options);
    experiment.observers = {&told_};
    if (GetParam() == "ringmaster") experiment.method_options.delay_threshold = 4;
    const TemporaryFile file;
    TraceFile trace(file.path(), run_record, limit_bytes);
    experiment.observers.push_back(&trace);
    experiment.go();
    note_ = trace.note();
    text_ = testing::read_file(file.path());
    return Trace(text_);
  }

  Told told_;
  std::string note_;
  std::string text_;
};

TEST_P(BoundedTrace, KeepsTheBeginningAndTheEndAndSaysWhatIsLeftOut) {
  const Trace trace = trace_of_run(testing::in_virtual_time(20'000));
  EXPECT_LE(text_.size(), limit_bytes);
  EXPECT_GE(text_.size(), limit_bytes * 9 / 10);
  expect_structure(trace);
  const Slice left_out = trace.named("left out").at(0);
  const auto missing = [&](const char* what) { return left_out.args.at(what).get<std::size_t>(); };
  EXPECT_GT(missing("gradients"), 5000U);
  EXPECT_EQ(trace.named("computing").size() + missing("gradients"), told_.gradients.size());
  EXPECT_EQ(trace.named("update").size() + missing("updates"), told_.updates.size());
  EXPECT_EQ(trace.named("discarded").size() + missing("discarded"), told_.discards.size());
  const auto updates = trace.named("update");
  EXPECT_EQ(updates.front().args.at("update"), 1);
  EXPECT_EQ(updates.back().args.at("update"), 20'000);
  EXPECT_THAT(note_, AllOf(HasSubstr("holds the beginning, until time "),
                           HasSubstr(json_text(left_out.args.at("gradients")) + " gradients")));
}

// Between the half that is written at once and the limit nothing needs leaving out.
TEST_P(BoundedTrace, IsWholeAsLongAsItFits) {
  RunOptions options = testing::in_virtual_time(10'000);
  options.max_gradients = 1200;
  const Trace trace = trace_of_run(options);
  EXPECT_GT(text_.size(), limit_bytes / 2);
  EXPECT_EQ(note_, "");
  expect_whole(trace, told_);
}

INSTANTIATE_TEST_SUITE_P(Some, BoundedTrace, ::testing::Values("dude", "ringmaster", "ringleader"),
                         testing::method_title);

TEST(TraceFile, CanBeReadWhereTheRunWasKilledOrFailed) {
  const TemporaryFile file;
  const auto trace = std::make_unique<TraceFile>(file.path(), run_record, plenty);
  trace->on_gradient({.job = {.worker = 1, .time = 1.5, .compute_time = 1.5}, .update = 1});
  trace->on_update({.update = 1, .time = 1.5, .worker = 1});
  trace->on_evaluation({.update = 1, .time = 1.5, .evaluation = {}, .train_loss = {}});
  const std::string killed = testing::read_file(file.path());
  EXPECT_EQ(Trace(killed + "]").named("update").size(), 1U);
}

TEST(TraceFile, HasItsEndWhereTheRunFailed) {
  const TemporaryFile file;
  {
    TraceFile trace(file.path(), run_record, plenty);
    trace.on_gradient({.job = {.worker = 1, .time = 1.5, .compute_time = 1.5}});
  }
  EXPECT_EQ(Trace(testing::read_file(file.path())).named("computing").size(), 1U);
}

TEST(TraceFile, SaysWhatCannotBeWritten) {
  EXPECT_THROW(TraceFile("/nonexistent/folder/trace", run_record, plenty), std::invalid_argument);
  ::testing::internal::CaptureStderr();
  TraceFile full("/dev/full", run_record, plenty);
  full.on_evaluation({});
  full.on_summary({});
  EXPECT_EQ(testing::without_times(::testing::internal::GetCapturedStderr()),
            "tardigrad: --trace /dev/full: cannot be written: No space left on device; the run goes on, and "
            "tries again\n");
}

}  // namespace
}  // namespace tardigrad
