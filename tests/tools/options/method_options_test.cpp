// Every method through the command line, and what goes with some and not with others.

#include <gmock/gmock.h>

#include "runtime/methods/method.h"
#include "tests/support/refusal.h"

namespace tardigrad {
namespace {

using testing::Finished;
using testing::records_of;
using testing::Refusal;

// ---- Every method ----

class TrainsWith : public testing::QuadraticTest, public ::testing::WithParamInterface<std::string> {
 protected:
  /// Trains, and gives the summary of the log.
  nlohmann::json train(const std::string& arguments) const {
    const Finished run =
        tardigrad("train --method " + GetParam() + " --log log.jsonl --device cpu:2 " + arguments);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return records_of(path("log.jsonl"), "summary").at(0);
  }

  void expect_less_loss_than_at_first(const nlohmann::json& summary) const {
    const auto first = records_of(path("log.jsonl"), "eval").at(0);
    EXPECT_EQ(first.at("update"), 0);
    EXPECT_LT(summary.at("final_loss"), first.at("loss"));
  }
};

TEST_P(TrainsWith, AQuadraticInVirtualTime) {
  const auto summary =
      train("--model quadratic:problem.json --lr 0.05 --clock virtual --compute-time 1,1.5 --updates 100");
  expect_less_loss_than_at_first(summary);
  EXPECT_EQ(summary.at("updates"), 100);
  EXPECT_EQ(summary.at("stop_reason"), "updates");
}

TEST_P(TrainsWith, AQuadraticInWallTime) {
  const auto summary = train("--model quadratic:problem.json --lr 0.05 --updates 100");
  EXPECT_EQ(summary.at("updates"), 100);
}

TEST_P(TrainsWith, Images) {
  write_images(100, 30);
  expect_less_loss_than_at_first(
      train("--model mlp:16 --dataset mnist --data-dir . --partition dirichlet:1 --workers 3 --batch-size 8 "
            "--lr 0.05 --clock virtual --compute-time 1,1.5,3 --epochs 5"));
}

std::string method_title(const ::testing::TestParamInfo<std::string>& tested) {
  std::string title = tested.param;
  std::replace(title.begin(), title.end(), '-', '_');
  return title;
}

INSTANTIATE_TEST_SUITE_P(Methods, TrainsWith, ::testing::ValuesIn(method_names()), method_title);

// ---- What options do ----

class MethodFlags : public testing::QuadraticTest {
 protected:
  static constexpr const char* failing_worker =
      "[[event]]\ntime = 5\nworker = 0\nslowdown = 4\n"
      "[[event]]\ntime = 14\nworker = 0\nslowdown = 1\n";

  /// Trains in virtual time, which says how, and gives the summary of the log. A later flag wins.
  nlohmann::json train(const std::string& arguments) const {
    const Finished run = tardigrad(
        "train --model quadratic:problem.json --lr 0.1 --updates 20 --clock virtual "
        "--compute-time 2,3 --device cpu:2 --log log.jsonl --save model.safetensors " +
        arguments);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return records_of(path("log.jsonl"), "summary").at(0);
  }

  /// The bytes of the model that this trains.
  std::string model(const std::string& arguments) const {
    train(arguments);
    return testing::read_file(path("model.safetensors"));
  }

  std::vector<double> of_updates(const char* member) const {
    std::vector<double> values;
    for (const auto& update : records_of(path("log.jsonl"), "update")) values.push_back(update.at(member));
    return values;
  }
};

TEST_F(MethodFlags, EventsSlowWorkersDownInVirtualTime) {
  write("events.toml", failing_worker);
  train("--method asgd --events events.toml --updates 10");
  EXPECT_EQ(of_updates("time"), (std::vector<double>{2, 3, 4, 6, 9, 9, 12, 14.75, 15, 16.75}));
  EXPECT_EQ(of_updates("worker"), (std::vector<double>{0, 1, 0, 1, 0, 1, 1, 0, 1, 0}));
}

TEST_F(MethodFlags, EventsStopWorkersInWallTime) {
  write("events.toml", "[[event]]\ntime = 0\nworker = 1\nstate = \"failed\"\n");
  for (const std::string compute_time : {"1,1", "measured"}) {
    train("--method asgd --clock wall --time-unit 0.0001 --events events.toml --compute-time " +
          compute_time);
    EXPECT_EQ(records_of(path("log.jsonl"), "worker").at(0).at("jobs"), 20);
    EXPECT_EQ(records_of(path("log.jsonl"), "worker").at(1).at("jobs"), 0);
  }
}

TEST_F(MethodFlags, ARunThatHasLostItsWorkersEndsWithThree) {
  write("events.toml",
        "[[event]]\ntime = 4\nworker = 1\nstate = \"failed\"\n"
        "[[event]]\ntime = 4\nworker = 0\nstate = \"failed\"\n");
  const Finished run = tardigrad(
      "train --model quadratic:problem.json --method sync --lr 0.1 --updates 5 --clock virtual "
      "--compute-time 2,3 --events events.toml --log log.jsonl --save model.safetensors");
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.err, ::testing::HasSubstr("lost are worker 0 (as --events says), worker 1 (as --events"));
  EXPECT_EQ(records_of(path("log.jsonl"), "update").size(), 1U);  // what came before is in the log
  EXPECT_TRUE(std::filesystem::exists(path("model.safetensors")));
}

TEST_F(MethodFlags, WhatTheServerDoesBesidesChangesTheModel) {
  for (const std::string method : {"--method dude ", "--method asgd "}) {
    const std::string plain = model(method);
    for (const char* option : {"--momentum 0.5", "--weight-decay 0.1", "--clip-norm 0.1",
                               "--lr-schedule cosine", "--lr-schedule step:5:0.5"}) {
      EXPECT_NE(model(method + option), plain) << method << option;
    }
    // The way of the clipped step gives the plain one's bits where nothing is clipped.
    for (const char* option : {"--momentum 0", "--weight-decay 0", "--clip-norm 1e30",
                               "--lr-schedule constant", "--lr-schedule step:20:0.5"}) {
      EXPECT_EQ(model(method + option), plain) << method << option;
    }
  }
}

TEST_F(MethodFlags, StepSizesOfTheScheduleAreLogged) {
  train("--method asgd --updates 6 --lr-schedule step:2:0.5");
  EXPECT_EQ(of_updates("lr"), (std::vector<double>{0.1, 0.1, 0.05, 0.05, 0.025, 0.025}));
}

TEST_F(MethodFlags, DriftIsReportedWhereSumsAreMadeAnew) {
  for (const std::string method : {"aced", "ca2fl", "dude", "ia2sgd", "mifa", "malenia", "ringleader"}) {
    EXPECT_EQ(train("--method " + method).at("largest_drift"), nullptr) << method;
    const auto drift = train("--method " + method + " --resum-every 3 --updates 300").at("largest_drift");
    ASSERT_TRUE(drift.is_number()) << method;
    // A rounding of at most 6e-8 of a row for each of the three updates between two sums; near the minimum
    // rows are a few times longer than their mean.
    EXPECT_LT(drift.get<double>(), 1e-5) << method;
    EXPECT_GE(drift.get<double>(), 0) << method;
  }
  // It is measured, not made up: a mean moved 300 times is off by some bit.
  EXPECT_GT(train("--method dude --lr 0.01 --resum-every 100 --updates 300").at("largest_drift"), 0);
}

TEST_F(MethodFlags, RowsAreFloatsUnlessAskedOtherwise) {
  for (const std::string method : {"aced", "ca2fl", "dude", "ia2sgd", "mifa", "malenia", "ringleader"}) {
    const std::string plain = model("--method " + method);
    EXPECT_EQ(model("--method " + method + " --table-dtype f32"), plain);
    EXPECT_NE(model("--method " + method + " --table-dtype bf16"), plain);
    // Rounded rows, of 3 digits, move the minimum a little; a step of 0.1 over 400 updates has come close.
    EXPECT_NEAR(
        train("--method " + method + " --table-dtype bf16 --updates 400").at("final_loss").get<double>(),
        train("--method " + method + " --updates 400").at("final_loss").get<double>(), 1e-3);
  }
}

TEST_F(MethodFlags, LocalStepsAreTaken) {
  const std::string one = model("--method fedbuff --gather 2");
  EXPECT_EQ(model("--method fedbuff --gather 2 --local-steps 1"), one);
  const std::string three = model("--method fedbuff --gather 2 --local-steps 3 --local-lr 0.1");
  EXPECT_NE(three, one);
  EXPECT_NE(model("--method fedbuff --gather 2 --local-steps 3 --local-lr 0.2"), three);
  EXPECT_NE(model("--method ca2fl --gather 2 --local-steps 3 --local-lr 0.1"),
            model("--method ca2fl --gather 2"));
}

TEST_F(MethodFlags, OneMethodIsAnotherAtTheEndOfItsOption) {
  EXPECT_EQ(model("--method aced --delay-threshold 1000000"), model("--method dude"));
  EXPECT_NE(model("--method aced --delay-threshold 0"), model("--method dude"));
  EXPECT_EQ(model("--method msync --gather 2"), model("--method sync"));
  EXPECT_EQ(model("--method msync"), model("--method sync"));
  EXPECT_NE(model("--method msync --gather 1"), model("--method sync"));
}

TEST_F(MethodFlags, LostRowsChangeNothingWhileNobodyIsLost) {
  for (const std::string method : {"aced", "ca2fl", "dude", "ia2sgd", "mifa"}) {
    const std::string plain = model("--method " + method);
    EXPECT_EQ(model("--method " + method + " --lost-rows keep"), plain);
    EXPECT_EQ(model("--method " + method + " --lost-rows drop"), plain);
  }
  EXPECT_EQ(records_of(path("log.jsonl"), "run").at(0).at("lost_rows"), "drop");
}

TEST_F(MethodFlags, ThresholdsAndBatchesChangeTheRun) {
  const auto updates = [&](const std::string& arguments) {
    train(arguments);
    return std::pair(of_updates("lr"), of_updates("gradients"));
  };
  EXPECT_NE(updates("--method asgd-delay-adaptive --compute-time 1,9 --delay-threshold 1"),
            updates("--method asgd-delay-adaptive --compute-time 1,9"));
  EXPECT_NE(updates("--method asgd-delay-adaptive --compute-time 1,9 --smoothness 4"),
            updates("--method asgd-delay-adaptive --compute-time 1,9"));
  EXPECT_NE(updates("--method rennala --gather 5"), updates("--method rennala"));
  EXPECT_NE(updates("--method malenia --gather 9"), updates("--method malenia"));
  EXPECT_NE(updates("--method mifa --availability 0.5"), updates("--method mifa"));
}

TEST_F(MethodFlags, WhatIsThrownAwayIsReported) {
  const auto share = [&](const std::string& method) {
    return train("--compute-time 1,2.5 --method " + method).at("discarded_share").get<double>();
  };
  EXPECT_EQ(share("malenia"), 0.1);  // half of every fifth unit of one of two workers
  const auto workers = records_of(path("log.jsonl"), "worker");
  EXPECT_EQ(workers.at(0).at("discarded_jobs"), 20);
  EXPECT_EQ(workers.at(0).at("discarded_share"), 0.2);
  EXPECT_EQ(workers.at(1).at("discarded_jobs"), 0);
  EXPECT_GT(share("rennala"), 0);
  EXPECT_GT(share("msync --gather 1"), 0);
  EXPECT_GT(share("ringmaster --delay-threshold 2"), 0);
  for (const char* method :
       {"ringleader", "dude", "sync", "msync", "ca2fl", "aced", "asgd", "asgd-uniform"}) {
    EXPECT_EQ(share(method), 0) << method;
  }
}

// ---- What is refused ----

class BadMethodOptions : public testing::RefusalTest {
 protected:
  BadMethodOptions() {
    write("unsorted.toml",
          "[[event]]\ntime = 2\nworker = 0\nslowdown = 2\n\n[[event]]\ntime = 1\nworker = 0\nslowdown = 1\n");
    write("stranger.toml", "[[event]]\ntime = 2\nworker = 2\nslowdown = 2\n");
    write("negative.toml", "[[event]]\ntime = -2\nworker = 0\nslowdown = 2\n");
    write("broken.toml", "[[event]]\ntime = \n");
    write("other.toml", "[[events]]\ntime = 1\nworker = 0\nslowdown = 2\n");
  }
};

TEST_P(BadMethodOptions, AreRefusedInOneLine) { expect_refusal(); }

Refusal on_quadratic(const std::string& options, const std::string& message) {
  return {"--model quadratic:problem.json --lr 0.1 --updates 3 --method " + options, message};
}

INSTANTIATE_TEST_SUITE_P(
    Features, BadMethodOptions,
    ::testing::Values(
        on_quadratic(
            "asgd --gather 2",
            "--gather has no use with --method asgd; methods that use it: ca2fl, dude, fedbuff, malenia, "
            "msync, rennala"),
        on_quadratic(
            "sync --table-dtype bf16",
            "--table-dtype has no use with --method sync; methods that use it: aced, ca2fl, dude, ia2sgd, "
            "malenia, mifa, ringleader"),
        on_quadratic("rennala --resum-every 10", "--resum-every has no use with --method rennala"),
        on_quadratic("dude --delay-threshold 3",
                     "--delay-threshold has no use with --method dude; methods that use it: "
                     "aced, asgd-delay-adaptive, ringmaster"),
        on_quadratic("msync --delay-threshold 3", "--delay-threshold has no use with --method msync"),
        on_quadratic("aced --gather 2", "--gather has no use with --method aced"),
        on_quadratic("msync --lost-rows drop", "--lost-rows has no use with --method msync"),
        on_quadratic("aced --local-steps 2 --local-lr 0.1", "--local-steps has no use with --method aced"),
        on_quadratic("ca2fl --local-steps 3", "--local-steps needs --local-lr"),
        on_quadratic("dude --availability 0.5", "--availability has no use with --method dude"),
        on_quadratic(
            "ringleader --lost-rows drop",
            "--lost-rows has no use with --method ringleader; methods that use it: aced, ca2fl, dude, "
            "ia2sgd, mifa"),
        on_quadratic("asgd --local-steps 2 --local-lr 0.1",
                     "--local-steps has no use with --method asgd; methods that use it: ca2fl, fedbuff"),
        on_quadratic("sync --local-lr 0.1", "--local-lr has no use with --method sync"),
        on_quadratic("fedbuff --local-steps 3", "--local-steps needs --local-lr"),
        on_quadratic("fedbuff --local-lr 0.1", "--local-lr has no use with one local step"),
        on_quadratic("fedbuff --local-steps 1 --local-lr 0.1", "--local-lr has no use with one local step")));

INSTANTIATE_TEST_SUITE_P(
    Values, BadMethodOptions,
    ::testing::Values(
        on_quadratic("fedbuff --gather 0", "--gather 0: expected 1 or more"),
        on_quadratic("ca2fl --gather 0", "--gather 0: expected 1 or more"),
        on_quadratic("msync --gather 0",
                     "--gather 0: expected 1 to the number of workers with --method msync"),
        on_quadratic("msync --gather 3", "--gather 3: expected 1 to the number of workers (2)"),
        on_quadratic("aced --delay-threshold -1", "--delay-threshold: -1 is not a whole number from 0 to"),
        on_quadratic("rennala --gather -1", "--gather"),
        on_quadratic("dude --gather 3", "--gather 3: expected 1 to the number of workers (2)"),
        on_quadratic("mifa --availability 0", "--availability 0: expected a probability above 0"),
        on_quadratic("mifa --availability 1.5", "--availability"),
        on_quadratic("mifa --availability nan", "--availability"),
        on_quadratic("ringmaster --delay-threshold 0", "--delay-threshold 0: expected 1 or more"),
        on_quadratic("dude --smoothness 0", "--smoothness: 0 is not a positive number"),
        on_quadratic("asgd-delay-adaptive --smoothness 0", "--smoothness: 0 is not a positive number"),
        on_quadratic("fedbuff --local-steps 0", "--local-steps: 0 is not a whole number from 1 to"),
        on_quadratic("fedbuff --local-steps 2 --local-lr 0", "--local-lr: 0 is not a positive number"),
        on_quadratic("dude --momentum -0.1", "--momentum"), on_quadratic("dude --momentum 1.1", "--momentum"),
        on_quadratic("dude --momentum nan", "--momentum"),
        on_quadratic("dude --weight-decay -1", "--weight-decay"),
        on_quadratic("dude --weight-decay nan", "--weight-decay"),
        on_quadratic("dude --weight-decay inf", "--weight-decay"),
        on_quadratic("dude --clip-norm 0", "--clip-norm: 0 is not a positive number"),
        on_quadratic("dude --clip-norm inf", "--clip-norm: inf is not a positive number"),
        on_quadratic("dude --table-dtype f16", "--table-dtype f16: unknown"),
        on_quadratic("mifa --lost-rows forget", "--lost-rows forget: unknown"),
        on_quadratic("dude --resum-every 0", "--resum-every: 0 is not a whole number from 1 to"),
        on_quadratic("dude --lr-schedule linear", "--lr-schedule linear: expected constant, cosine, or step"),
        on_quadratic("dude --lr-schedule step:0:0.5", "--lr-schedule step:0:0.5: expected"),
        on_quadratic("dude --target-loss nan --eval-every 1", "--target-loss"),
        on_quadratic("dude --target-loss 1", "--target-loss needs --eval-every"),
        Refusal{"--model quadratic:problem.json --method dude --lr 0.1 --target-loss 0 --eval-every 5 "
                "--lr-schedule cosine",
                "--lr-schedule cosine needs the end of the run"}));

INSTANTIATE_TEST_SUITE_P(
    Events, BadMethodOptions,
    ::testing::Values(
        on_quadratic(
            "dude --events unsorted.toml",
            "--events unsorted.toml:7: expected events in the order of their times, found 1 after 2"),
        on_quadratic("dude --events stranger.toml",
                     "--events stranger.toml:3: expected worker, a whole number from 0 to 1, found 2"),
        on_quadratic("dude --events negative.toml",
                     "--events negative.toml:2: expected time, a number of at least 0, found -2"),
        on_quadratic("dude --events broken.toml", "--events broken.toml:2: expected TOML"),
        on_quadratic("dude --events other.toml", "--events other.toml:1: expected [[event]] tables alone"),
        on_quadratic("dude --events absent.toml", "--events absent.toml: expected a file that can be read")));

}  // namespace
}  // namespace tardigrad
