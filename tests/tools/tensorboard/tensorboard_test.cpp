#include "tools/tensorboard/tensorboard.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <optional>

#include "tests/support/program.h"
#include "tests/support/source_path.h"

namespace tardigrad {
namespace {

using nlohmann::json;
using testing::Finished;
using ::testing::HasSubstr;
using testing::read_file;
using testing::read_log;
using testing::records_of;

/// What has to be there for these tests. Event files are read by read_events.py.
class TensorBoard : public testing::QuadraticTest {
 protected:
  void SetUp() override {
    if (std::system("python3 -c '' 2>/dev/null") != 0) GTEST_SKIP() << "no python3";
    const Finished run = train("--updates 1 --tensorboard board");
    if (run.exit_code == 2) {
      EXPECT_THAT(run.err, HasSubstr("this program was built without Protocol Buffers (libprotobuf-dev"));
      GTEST_SKIP() << run.err;
    }
    std::filesystem::remove_all(path("board"));
  }

  Finished train(const std::string& more) const {
    return tardigrad(
        "train --model quadratic:problem.json --method dude --lr 0.1 --clock virtual --compute-time 1,2.5 " +
        more);
  }

  std::vector<std::filesystem::path> event_files(const std::string& folder) const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(path(folder))) found.push_back(entry.path());
    return found;
  }

  /// Nothing if the reader finds fault with the file; reason() is then what it said.
  std::optional<std::vector<json>> read_events(const std::filesystem::path& file) const {
    const std::string command = "python3 " + testing::source_path("tests/tools/tensorboard/read_events.py") +
                                " '" + file.string() + "' >'" + path("events").string() + "' 2>'" +
                                path("reason").string() + "'";
    if (std::system(command.c_str()) != 0) return std::nullopt;
    return read_log(path("events"));
  }

  std::string reason() const { return read_file(path("reason")); }

  /// The values of each tag, by the steps' order.
  std::map<std::string, std::vector<json>> values_of(const std::filesystem::path& file) const {
    const auto events = read_events(file);
    EXPECT_TRUE(events.has_value()) << reason();
    std::map<std::string, std::vector<json>> tags;
    for (const json& event : events.value_or(std::vector<json>{})) {
      for (const json& value : event.at("values")) {
        tags[value.at("tag")].push_back(value);
        tags[value.at("tag")].back()["step"] = event.at("step");
      }
    }
    return tags;
  }
};

float number(const json& value) { return value.get<float>(); }

TEST_F(TensorBoard, EventsAreFramedAndInOrder) {
  ASSERT_EQ(train("--updates 200 --eval-every 20 --tensorboard new/board").exit_code, 0);
  const auto files = event_files("new/board");
  ASSERT_EQ(files.size(), 1U);
  EXPECT_THAT(files[0].filename().string(), ::testing::StartsWith("events.out.tfevents."));
  const auto events = read_events(files[0]);
  ASSERT_TRUE(events.has_value()) << reason();
  EXPECT_EQ(events->front().at("file_version"), "brain.Event:2");
  for (std::size_t i = 1; i < events->size(); ++i) {
    EXPECT_FALSE((*events)[i].at("values").empty());
    EXPECT_GE((*events)[i].at("step"), (*events)[i - 1].at("step"));
    EXPECT_GE((*events)[i].at("wall_time"), (*events)[i - 1].at("wall_time"));
    EXPECT_GT((*events)[i].at("wall_time"), 1.7e9);
  }
}

TEST_F(TensorBoard, EvaluationsAreThoseOfTheLog) {
  write_images(60, 20);
  const Finished run = tardigrad(
      "train --model mlp:16 --dataset mnist --data-dir . --method dude --lr 0.05 --batch-size 8 --clock "
      "virtual "
      "--compute-time 1,2,3 --updates 60 --eval-every 10 --tensorboard board --log run.jsonl");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  auto tags = values_of(event_files("board").at(0));
  const auto logged = records_of(path("run.jsonl"), "eval");
  ASSERT_EQ(tags["evaluation/loss"].size(), logged.size());
  ASSERT_EQ(tags["evaluation/accuracy"].size(), logged.size());
  ASSERT_EQ(tags["evaluation/train_loss"].size(), logged.size() - 1);  // of no gradient before the first
  for (std::size_t i = 0; i < logged.size(); ++i) {
    EXPECT_EQ(tags["evaluation/loss"][i].at("step"), logged[i].at("update"));
    EXPECT_EQ(number(tags["evaluation/loss"][i].at("simple_value")), number(logged[i].at("loss")));
    EXPECT_EQ(number(tags["evaluation/accuracy"][i].at("simple_value")), number(logged[i].at("accuracy")));
    if (i == 0) continue;
    EXPECT_EQ(number(tags["evaluation/train_loss"][i - 1].at("simple_value")),
              number(logged[i].at("train_loss")));
  }
}

/// The jobs that a log shows, gradients that made an update or not, in their order.
std::vector<json> jobs_of(const std::filesystem::path& log) {
  std::vector<json> jobs;
  for (const json& record : read_log(log)) {
    if (record.at("event") == "gradient") jobs.push_back(record);
    if (record.at("event") != "update") continue;
    jobs.push_back(record);
    jobs.back()["staleness"] = record["update"].get<int>() - 1 - record["version"].get<int>();
  }
  return jobs;
}

double sum_of(const std::vector<json>& jobs, const char* what) {
  double sum = 0;
  for (const json& job : jobs) sum += job.at(what).get<double>();
  return sum;
}

void expect_histogram(const json& histogram, const std::vector<json>& jobs, const char* what) {
  double least = INFINITY;
  double most = 0;
  double squares = 0;
  for (const json& job : jobs) {
    const double value = job.at(what);
    least = std::min(least, value);
    most = std::max(most, value);
    squares += value * value;
  }
  constexpr double rounding = 1e-12;  // of sums in another order
  EXPECT_EQ(histogram.at("num"), jobs.size());
  EXPECT_EQ(histogram.at("min"), least);
  EXPECT_EQ(histogram.at("max"), most);
  EXPECT_NEAR(histogram.at("sum").get<double>(), sum_of(jobs, what), rounding * squares);
  EXPECT_NEAR(histogram.at("sum_squares").get<double>(), squares, rounding * squares);

  // Each bucket holds the values above the limit of the one before, up to its own.
  const std::vector<double> limits = histogram.at("bucket_limit");
  std::vector<double> counts(limits.size());
  for (const json& job : jobs) {
    const auto bucket = std::ranges::lower_bound(limits, job.at(what).get<double>()) - limits.begin();
    ++counts.at(static_cast<std::size_t>(bucket));
  }
  EXPECT_TRUE(std::ranges::is_sorted(limits));
  for (std::size_t i = 1; i < limits.size(); ++i) {
    if (counts[i] == 0) continue;
    EXPECT_GE(limits[i - 1], limits[i] / 1.1);  // narrow, whatever lies below
  }
  EXPECT_EQ(histogram.at("bucket").get<std::vector<double>>(), counts);
}

// Where a record ends depends on the time of day, what is in it does not: each holds as many gradients as its
// histograms say, and together they hold all.
TEST_F(TensorBoard, RecordsBetweenHoldEveryGradientOnce) {
  for (const char* method : {"dude", "ringleader", "asgd"}) {
    SCOPED_TRACE(method);
    ASSERT_EQ(train(std::string("--method ") + method +
                    " --updates 600 --eval-every 100 --log run.jsonl --tensorboard " + method)
                  .exit_code,
              0);
    const auto jobs = jobs_of(path("run.jsonl"));
    auto tags = values_of(event_files(method).at(0));
    auto next = jobs.begin();
    ASSERT_GE(tags["staleness"].size(), 6U);
    for (std::size_t i = 0; i < tags["staleness"].size(); ++i) {
      const json& staleness = tags["staleness"][i].at("histo");
      const auto count = staleness.at("num").get<std::ptrdiff_t>();
      ASSERT_LE(count, jobs.end() - next);
      const std::vector<json> part(next, next + count);
      next += count;
      expect_histogram(staleness, part, "staleness");
      expect_histogram(tags["compute_time"].at(i).at("histo"), part, "compute_time");
      constexpr float half_a_bit = 1e-6F;
      const auto expect_mean = [&](const char* tag, const char* what) {
        const auto mean = static_cast<float>(sum_of(part, what) / static_cast<double>(count));
        EXPECT_NEAR(number(tags[tag].at(i).at("simple_value")), mean, half_a_bit * std::abs(mean));
      };
      expect_mean("training/loss", "loss");
      expect_mean("training/staleness", "staleness");
      EXPECT_EQ(number(tags["training/lr"].at(i).at("simple_value")), 0.1F);
      EXPECT_EQ(number(tags["run/time"].at(i).at("simple_value")), number(part.back().at("time")));
      EXPECT_GT(number(tags["speed/gradients_per_s"].at(i).at("simple_value")), 0);
    }
    EXPECT_EQ(next, jobs.end());
  }
}

TEST_F(TensorBoard, DoesNotGrowWithTheNumberOfUpdates) {
  ASSERT_EQ(train("--updates 100000 --device cpu --tensorboard board").exit_code, 0);
  const auto events = read_events(event_files("board").at(0));
  ASSERT_TRUE(events.has_value()) << reason();
  const double elapsed_s =
      events->back().at("wall_time").get<double>() - events->front().at("wall_time").get<double>();
  EXPECT_LE(static_cast<double>(events->size()), 5 + elapsed_s / 0.5);
}

TEST_F(TensorBoard, AnotherRunMakesAnotherFile) {
  std::filesystem::create_directory(path("board"));
  write("board/notes.txt", "kept");
  ASSERT_EQ(train("--updates 3 --tensorboard board").exit_code, 0);
  ASSERT_EQ(train("--updates 3 --tensorboard ./board/").exit_code, 0);
  EXPECT_EQ(event_files("board").size(), 3U);
  EXPECT_EQ(read_file(path("board/notes.txt")), "kept");
}

// TensorBoard drops what it has of that step and later ones.
TEST_F(TensorBoard, ARunThatGoesOnSaysFromWhere) {
  {
    const auto board = make_tensorboard(path("board"), 40);
    board->on_evaluation({.update = 41, .evaluation = {}, .train_loss = {}});
  }
  const auto events = read_events(event_files("board").at(0));
  ASSERT_TRUE(events.has_value()) << reason();
  ASSERT_EQ(events->size(), 3U);
  EXPECT_EQ((*events)[0].at("file_version"), "brain.Event:2");
  EXPECT_EQ((*events)[1].at("session"), "start");
  EXPECT_EQ((*events)[1].at("step"), 41);
  EXPECT_EQ((*events)[2].at("step"), 41);
}

// So the reader would see a file that is broken.
TEST_F(TensorBoard, TheReaderSeesEveryByteThatIsWrong) {
  ASSERT_EQ(train("--updates 3 --tensorboard board").exit_code, 0);
  const auto file = event_files("board").at(0);
  const std::string whole = read_file(file);
  ASSERT_TRUE(read_events(file).has_value()) << reason();
  for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 4) {
    std::string broken = whole;
    broken[at] = static_cast<char>(broken[at] ^ 4);
    write("broken", broken);
    EXPECT_FALSE(read_events(path("broken")).has_value()) << at;
    EXPECT_THAT(reason(), HasSubstr("wrong checksum of "));
  }
  write("broken", whole.substr(0, whole.size() - 1));
  EXPECT_FALSE(read_events(path("broken")).has_value());
}

TEST_F(TensorBoard, FoldersThatCannotBeAreRefusedBeforeTraining) {
  const auto refused = [&](const std::string& arguments) {
    const auto before = files();
    const Finished run = train("--updates 3 " + arguments);
    EXPECT_EQ(run.exit_code, 2) << arguments;
    EXPECT_EQ(files(), before) << arguments;
    return run.err;
  };
  EXPECT_THAT(refused("--tensorboard problem.json --log log.jsonl"),
              AllOf(HasSubstr("--tensorboard problem.json: "), HasSubstr("problem.json is no folder")));
  EXPECT_THAT(refused("--tensorboard problem.json/board"), HasSubstr("problem.json is no folder"));
  EXPECT_THAT(refused("--tensorboard out/ --log ./out"),
              HasSubstr("--tensorboard out/: is the file of --log"));
  if (geteuid() != 0) {
    std::filesystem::create_directory(path("locked"));
    std::filesystem::permissions(path("locked"), std::filesystem::perms::owner_read);
    EXPECT_THAT(refused("--tensorboard locked/board"), HasSubstr("is not writable"));
    std::filesystem::permissions(path("locked"), std::filesystem::perms::owner_all);
  }
}

}  // namespace
}  // namespace tardigrad
