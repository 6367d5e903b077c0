#include <gmock/gmock.h>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::Finished;
using ::testing::HasSubstr;
using testing::records_of;

class Train : public testing::QuadraticTest {
 protected:
  Finished quadratic(const std::string& more) const {
    return tardigrad("train --model quadratic:problem.json --method dude --lr 0.1 " + more);
  }

  Finished images(const std::string& more) const {
    return tardigrad("train --dataset mnist --data-dir . --method dude --lr 0.05 --batch-size 8 " + more);
  }
};

TEST_F(Train, ShowsATableAndTheResult) {
  const Finished run = quadratic("--updates 20 --clock virtual --compute-time 1,3");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("staleness med/max"), HasSubstr("20 updates from"), HasSubstr("final loss")));
}

TEST_F(Train, ShowsWhatARunWouldTakeOfMemory) {
  const Finished run = quadratic("--updates 20 --show-memory --device cpu:1 --log log.jsonl");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("cpu:0: "), HasSubstr("128 B  gradient table (f32)")));
  EXPECT_FALSE(std::filesystem::exists(path("log.jsonl")));
  EXPECT_EQ(quadratic("--updates 1 --device cpu:1 --log log.jsonl").exit_code, 0);
  // Model and mean of two floats, two rows of a cache line, two gradients, four models handed over.
  EXPECT_EQ(records_of(path("log.jsonl"), "run").at(0).at("memory_bytes").at("cpu:0"),
            2 * 8 + 2 * 64 + 2 * 8 + 4 * 64);
}

TEST_F(Train, SaysWhatStartingTook) {
  const Finished run = quadratic("--updates 3 --quiet --timings");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, ::testing::ContainsRegex(
                           "--timings: starting took [0-9.]+ s: loading [0-9.]+, .*data [0-9.]+, .*other"));
  EXPECT_EQ(run.err.find("--timings"), run.err.rfind("--timings")) << "once";
}

// Eight terabytes, of which nothing is asked for.
TEST_F(Train, RefusesWhatDoesNotFitAndSaysWhatWould) {
  const Finished run = tardigrad(
      "train --model quadratic:tridiagonal:1000000 --workers 1000000 --method dude --lr 0.1 --updates 1 "
      "--clock virtual --compute-time linear:1:1 --device cpu:1");
  EXPECT_EQ(run.exit_code, 2) << run.err;
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("3.6 TiB  gradient table (f32)"), HasSubstr("what would fit: --workers ")));
}

TEST_F(Train, LearnsImagesInWallTimeAndLogsIt) {
  write_images(400, 100);
  const Finished run = images("--model mlp:32 --workers 3 --epochs 8 --eval-every 50 --log log.jsonl");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto summary = records_of(path("log.jsonl"), "summary").at(0);
  EXPECT_GT(summary.at("final_accuracy"), 0.9);
  EXPECT_EQ(summary.at("gradients"), 400);
  EXPECT_EQ(summary.at("stop_reason"), "epochs");
  EXPECT_EQ(records_of(path("log.jsonl"), "worker").size(), 3U);
  EXPECT_GE(records_of(path("log.jsonl"), "eval").size(), 8U);
  const auto started = records_of(path("log.jsonl"), "run").at(0);
  EXPECT_EQ(started.at("workers"), 3);
  EXPECT_EQ(started.at("dimension"), 784 * 32 + 32 + 32 * 10 + 10);
}

// Worker 1 computes half as long: in 2 units of time there are 8 examples of worker 0 and 4 of worker 1.
TEST_F(Train, AnEpochCountsTheExamplesOfWorkersWithMinibatchesOfTheirOwnSizes) {
  write_images(48, 20);
  const Finished run =
      images("--model mlp:16 --clock virtual --compute-time 2,1 --batch-size 2,2 --epochs 1 --log log.jsonl");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(records_of(path("log.jsonl"), "summary").at(0).at("gradients"), 24);
  const Finished uneven =
      images("--model mlp:16 --clock virtual --compute-time 2,1 --batch-size 8,2 --epochs 1 --log log.jsonl");
  ASSERT_EQ(uneven.exit_code, 0) << uneven.err;
  const auto started = records_of(path("log.jsonl"), "run").at(0);
  EXPECT_EQ(started.at("batch_size"), "8,2");
  EXPECT_EQ(started.at("workers"), 2);
  EXPECT_EQ(records_of(path("log.jsonl"), "summary").at(0).at("gradients"), 12);  // 4 of 8, and 8 of 2
}

// The promise of virtual time: bytes depend on the seed, and on nothing that the machine does.
TEST_F(Train, VirtualTimeSavesTheSameBytesOnAnyNumberOfThreads) {
  write_images(60, 20);
  const std::string common =
      "--model cnn:8,8,8:32 --workers 5 --clock virtual --compute-time truncnorm:1:5 --partition "
      "dirichlet:0.5 "
      "--updates 30 ";
  for (const char* devices : {"1", "2", "5"}) {
    const Finished run =
        images(common + "--seed 7 --device cpu:" + devices + " --save " + devices + ".safetensors");
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
  ASSERT_EQ(images(common + "--seed 8 --device cpu:2 --save other.safetensors").exit_code, 0);
  const std::string bytes = testing::read_file(path("1.safetensors"));
  EXPECT_GT(bytes.size(), 1000U);
  EXPECT_TRUE(bytes == testing::read_file(path("2.safetensors")));
  EXPECT_TRUE(bytes == testing::read_file(path("5.safetensors")));
  EXPECT_FALSE(bytes == testing::read_file(path("other.safetensors")));
}

TEST_F(Train, AThrottledWorkerTakesSoManyTimesAsLong) {
  const Finished run =
      quadratic("--clock virtual --compute-time 1,2 --throttle 1=2.5x --log run.jsonl --updates 30");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto workers = records_of(path("run.jsonl"), "worker");
  EXPECT_EQ(workers.at(0).at("mean_compute_time"), 1);
  EXPECT_EQ(workers.at(1).at("mean_compute_time"), 5);
}

TEST_F(Train, HearsOfCompletionsEitherWay) {
  for (const std::string way : {"auto", "polling", "callback"}) {
    const Finished run = quadratic("--updates 50 --completions " + way);
    EXPECT_EQ(run.exit_code, 0) << run.err;
  }
}

TEST_F(Train, RunsWithoutTheHostAreReplayedToTheBit) {
  for (const std::string method : {"asgd", "dude", "ia2sgd"}) {
    const std::string problem =
        "train --model quadratic:tridiagonal:3000 --workers 3 --lr 0.1 --updates 200 --device cpu --method ";
    Finished run = tardigrad(
        problem + method + " --hand-over device --eval-every 60 --record order.jsonl --save it.safetensors");
    ASSERT_EQ(run.exit_code, 0) << run.err;
    run = tardigrad("train --replay order.jsonl --save again.safetensors");
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_TRUE(testing::read_file(path("it.safetensors")) == testing::read_file(path("again.safetensors")))
        << method;
  }
}

TEST_F(Train, MinimisesAGeneratedQuadratic) {
  const Finished run = tardigrad(
      "train --model quadratic:tridiagonal:3:noise=0.01:spread=0.5 --workers 4 --method dude --lr 0.3 "
      "--updates 2000 --clock virtual --compute-time 1,2,3,40 --log log.jsonl");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto summary = records_of(path("log.jsonl"), "summary").at(0);
  // The least value is −3/32; noise of 0.01 leaves far less than 0.001 of it.
  EXPECT_NEAR(summary.at("final_loss").get<double>(), -3.0 / 32, 1e-3);
}

TEST_F(Train, EndsAtAGradientNormAndLogsIt) {
  const std::string options = "--clock virtual --compute-time 1,3 --eval-every 5 --log log.jsonl ";
  const Finished run = quadratic(options + "--updates 3000 --eval-gradient --target-gradient-norm-sq 0.0001");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(records_of(path("log.jsonl"), "summary").at(0).at("stop_reason"), "target-gradient-norm-sq");
  const auto evaluations = records_of(path("log.jsonl"), "eval");
  // The A_i sum to 3 I and the b_i to (1, 1): ∇f(x) = (3 x − (1, 1)) / 2, at x0 = (0.5, −0.5).
  EXPECT_DOUBLE_EQ(evaluations.front().at("gradient_norm_sq"), 0.25 * 0.25 + 1.25 * 1.25);
  EXPECT_EQ(evaluations.front().at("objective"), evaluations.front().at("loss"));
  EXPECT_LE(evaluations.back().at("gradient_norm_sq"), 0.0001);
  EXPECT_GT(evaluations.at(evaluations.size() - 2).at("gradient_norm_sq"), 0.0001);
  EXPECT_THAT(run.err, HasSubstr("||grad f||^2"));

  ASSERT_EQ(quadratic(options + "--updates 10 --eval-objective").exit_code, 0);
  EXPECT_TRUE(records_of(path("log.jsonl"), "eval").at(0).at("gradient_norm_sq").is_null());
  EXPECT_TRUE(records_of(path("log.jsonl"), "eval").at(0).at("objective").is_number());
}

TEST_F(Train, EvaluatesAsManyImagesAsAsked) {
  write_images(40, 30);
  const std::string options = "--model mlp:16 --workers 2 --updates 2 --log log.jsonl ";
  ASSERT_EQ(images(options + "--eval-examples 10 --eval-objective").exit_code, 0);
  const auto ten = records_of(path("log.jsonl"), "eval").at(0);
  write_images(40, 10);
  ASSERT_EQ(images(options).exit_code, 0);
  EXPECT_EQ(records_of(path("log.jsonl"), "eval").at(0).at("loss"), ten.at("loss"));
}

TEST_F(Train, GoesOnFromASavedModel) {
  const std::string virtual_time = "--clock virtual --compute-time 1,1 --method sync ";
  ASSERT_EQ(quadratic(virtual_time + "--updates 4 --save four.safetensors").exit_code, 0);
  ASSERT_EQ(quadratic(virtual_time + "--updates 2 --save two.safetensors").exit_code, 0);
  ASSERT_EQ(quadratic(virtual_time + "--updates 2 --init two.safetensors --save again.safetensors").exit_code,
            0);
  EXPECT_TRUE(testing::read_file(path("again.safetensors")) == testing::read_file(path("four.safetensors")));
}

TEST_F(Train, ReadsOptionsFromToml) {
  write("run.toml", "model = \"quadratic:problem.json\"\nmethod = \"sync\"\nlr = 0.1\nupdates = 3\n");
  Finished run = tardigrad("train --config run.toml --log log.jsonl");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(records_of(path("log.jsonl"), "update").size(), 3U);
  run = tardigrad("train --config run.toml --updates 5 --log log.jsonl");  // the command line wins
  EXPECT_EQ(records_of(path("log.jsonl"), "update").size(), 5U);
  write("run.toml", "modle = 3\n");
  run = tardigrad("train --config run.toml --model mlp --method sync --lr 1");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("modle"));
}

/// The update N of "the last finite model is that of update N, saved in m.safetensors".
std::uint64_t saved_update(const Finished& run) {
  const std::string before = "the last finite model is that of update ";
  const auto at = run.err.find(before);
  EXPECT_THAT(run.err, HasSubstr(", saved in m.safetensors"));
  return at == std::string::npos ? 0 : std::stoull(run.err.substr(at + before.size()));
}

TEST_F(Train, EndsWithFourAndTheLastFiniteModelWhenTheLossIsNotFinite) {
  const std::string diverging =
      "--method asgd --lr 100 --eval-every 4 --clock virtual --compute-time 1,1 --log log.jsonl ";
  const Finished run = quadratic(diverging + "--updates 100000 --save m.safetensors");
  EXPECT_EQ(run.exit_code, 4);
  EXPECT_THAT(run.err, HasSubstr("a smaller --lr (now 100) may help"));
  const std::uint64_t update = saved_update(run);
  EXPECT_GT(update, 0U);
  const auto last = testing::read_log(path("log.jsonl")).back();
  EXPECT_EQ(last.at("kind"), "not-finite");
  const int bad = last.at("update");
  EXPECT_THAT(run.err, HasSubstr("at the model of update " + std::to_string(bad) + ":"));
  EXPECT_GE(records_of(path("log.jsonl"), "update").back().at("update"), bad);  // all before it is there
  ASSERT_EQ(quadratic(diverging + "--save again.safetensors --updates " + std::to_string(update)).exit_code,
            0);
  EXPECT_TRUE(testing::read_file(path("m.safetensors")) == testing::read_file(path("again.safetensors")));
}

TEST_F(Train, KeepsTheLastFiniteModelOfANetwork) {
  write_images(60, 20);
  for (const char* clock : {"--clock virtual --compute-time 1,1", "--clock wall --workers 2"}) {
    const Finished run = images(std::string("--model mlp --method asgd --lr 1e30 --updates 1000 ") + clock +
                                " --save m.safetensors");
    EXPECT_EQ(run.exit_code, 4) << run.err;
    EXPECT_EQ(saved_update(run), 0U);
    EXPECT_EQ(images("--model mlp --lr 0.01 --updates 1 --workers 2 --init m.safetensors").exit_code, 0);
  }
}

TEST_F(Train, WarnsOnceAndLogsIt) {
  const Finished run = quadratic(
      "--method asgd --lr 1.1 --smoothness 2 --updates 100 --clock virtual --compute-time 1,1 --log "
      "log.jsonl");
  EXPECT_THAT(run.err, HasSubstr("tardigrad: warning: at update "));
  const auto warnings = records_of(path("log.jsonl"), "warning");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0].at("kind"), "step-size");
  EXPECT_THAT(run.err, HasSubstr(warnings[0].at("text").get<std::string>()));
  EXPECT_EQ(quadratic("--smoothness 2 --updates 100 --clock virtual --compute-time 1,1").err.find("warning"),
            std::string::npos);
}

TEST_F(Train, AnInterruptSavesAndSummarises) {
  const Finished run = tardigrad_interrupted(
      "train --model quadratic:problem.json --method asgd --lr 0.1 --time-limit 600 --compute-time 1,1e9 "
      "--time-unit 0.0001 --log log.jsonl --save model.safetensors",
      "log.jsonl");
  EXPECT_EQ(run.exit_code, 128 + SIGINT) << run.err;
  EXPECT_EQ(records_of(path("log.jsonl"), "summary").at(0).at("stop_reason"), "interrupted");
  EXPECT_TRUE(std::filesystem::exists(path("model.safetensors")));
}

TEST_F(Train, HelpReadsLikeAManual) {
  const Finished help = tardigrad("train --help");
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, AllOf(HasSubstr("--compute-time"), HasSubstr("Example:"), HasSubstr("Exit codes:")));
  EXPECT_EQ(tardigrad("--version").exit_code, 0);
  EXPECT_THAT(tardigrad("devices").out, HasSubstr("cpu "));
}

TEST_F(Train, TableShowsRunsSideBySide) {
  for (const std::string method : {"sync", "dude"}) {
    ASSERT_EQ(quadratic("--method " + method +
                        " --updates 8 --clock virtual --compute-time 1,2 --eval-every 2s --log " + method +
                        ".jsonl")
                  .exit_code,
              0);
  }
  const Finished table = tardigrad("table sync.jsonl dude.jsonl");
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out,
              AllOf(HasSubstr("loss at time"), HasSubstr("sync 0.1     dude 0.1"), HasSubstr("updates")));
  EXPECT_EQ(tardigrad("table problem.json").exit_code, 2);
}

TEST_F(Train, CommandsThatAreNoneAreNamed) {
  const Finished unknown = tardigrad("trian --lr 1");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("command trian: unknown; did you mean train?"));
  const Finished none = tardigrad("");
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("no command; expected train, "));
}

TEST_F(Train, FilesThatGoNowhereAreRefusedBeforeTraining) {
  const Finished run = quadratic("--updates 3 --save nowhere/model.safetensors");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("--save nowhere/model.safetensors: there is no folder nowhere"));
  EXPECT_EQ(quadratic("--updates 3 --log .").exit_code, 2);
  EXPECT_THAT(quadratic("--updates 3 --log out --record ./out").err,
              HasSubstr("--record ./out: is the file of --log"));
}

TEST_F(Train, BrokenDataFilesAreNamed) {
  write_images(40, 10);
  const auto refused = [&](const std::string& file, const std::string& bytes) {
    write(file, bytes);
    const Finished run = images("--model mlp:16 --updates 3 --workers 2");
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_THAT(run.err, HasSubstr(file));
    return run.err;
  };
  const std::string images = testing::read_file(path("train-images-idx3-ubyte"));
  const std::string labels = testing::read_file(path("train-labels-idx1-ubyte"));
  refused("train-images-idx3-ubyte", images.substr(0, images.size() - 1));
  refused("train-images-idx3-ubyte", "\xff" + images.substr(1));
  refused("train-images-idx3-ubyte", "");
  write("train-images-idx3-ubyte", images);
  std::string wild = labels;
  wild.back() = 10;
  refused("train-labels-idx1-ubyte", wild);
}

TEST_F(Train, WithoutAGpuItSaysThatItRunsOnTheCpu) {
  const Finished devices = tardigrad("devices");
  if (devices.out.find("cuda:0") != std::string::npos) GTEST_SKIP() << "there is a GPU";
  if (devices.out.find("configured without CUDA") != std::string::npos) {
    GTEST_SKIP() << "a build without CUDA";
  }
  EXPECT_THAT(quadratic("--updates 3").err, HasSubstr("running on the CPU (no GPU: "));
  EXPECT_EQ(quadratic("--updates 3 --device cpu").err.find("running on the CPU"), std::string::npos);
}

}  // namespace
}  // namespace tardigrad
