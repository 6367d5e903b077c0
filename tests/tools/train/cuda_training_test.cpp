// Networks trained on a GPU, through the command line.

#include <fmt/core.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "runtime/device/device.h"
#include "tests/support/program.h"

namespace tardigrad {
namespace {

using testing::Finished;

class CudaTraining : public testing::ProgramTest {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
    write_images(100, 40);
  }

  /// Minibatches of 8 images are computed by kernels of ours alone, in groups where there are more workers,
  /// those of 16 by the libraries.
  Finished train(const std::string& options, int batch_size = 16, int workers = 3) const {
    return tardigrad(
        fmt::format("train --model mlp:16 --dataset mnist --data-dir . --method dude --lr 0.05 --workers {} "
                    "--batch-size {} --log log.jsonl --save x.safetensors {}",
                    workers, batch_size, options));
  }

  /// The model that a run in virtual time leaves.
  std::string model(const std::string& options) const {
    const Finished run =
        train("--device cuda:0 --updates 12 --clock virtual --compute-time 1,1,3 " + options);
    EXPECT_EQ(run.exit_code, 0) << options << ": " << run.err;
    return run.exit_code == 0 ? testing::read_file(path("x.safetensors")) : options;
  }

  nlohmann::json summary() const { return testing::records_of(path("log.jsonl"), "summary").at(0); }
};

TEST_F(CudaTraining, LearnsAsOnACpu) {
  EXPECT_EQ(train("--device cpu:1 --epochs 8").exit_code, 0);
  const double expected = summary().at("final_accuracy");
  const Finished run = train("--device cuda:0 --epochs 8");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NEAR(summary().at("final_accuracy"), expected, 0.1);  // the order of arrivals differs
}

TEST_F(CudaTraining, RepeatsItsBitsWhereDeterministic) {
  for (const std::string precision : {"fp32", "tf32", "bf16"}) {
    const std::string options = "--deterministic --augment --precision " + precision;
    const std::string expected = model(options);
    EXPECT_TRUE(model(options) == expected) << precision;
    EXPECT_TRUE(model(options + " --cuda-graphs off") == expected) << precision;
  }
}

TEST_F(CudaTraining, KeepsFromRunToRunHowItComputes) {
  const auto choosing = [&](const std::string& options) {
    const Finished run = train("--device cuda:0 --updates 3 --timings " + options);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.err, ::testing::HasSubstr("--timings: starting took "));
    EXPECT_THAT(run.err, ::testing::HasSubstr("choice of algorithms "));
    return run.err;
  };
  const auto kept = [&] {
    std::map<std::string, std::filesystem::file_time_type> files;
    for (const auto& file : std::filesystem::directory_iterator(plans() / "plans")) {
      files[file.path().filename()] = file.last_write_time();
    }
    return files;
  };
  choosing("");
  const auto first = kept();
  EXPECT_EQ(first.size(), 2U) << "of training and of evaluations";
  choosing("");
  EXPECT_EQ(kept(), first) << "nothing was chosen anew";
  choosing("--tune");
  const auto tuned = kept();
  EXPECT_EQ(tuned.size(), 2U);
  for (const auto& [name, time] : tuned) EXPECT_GT(time, first.at(name)) << name;

  std::filesystem::remove_all(plans());
  std::ofstream(plans()) << "no folder";
  EXPECT_THAT(choosing(""), ::testing::HasSubstr("cannot be kept for other runs"));
}

TEST_F(CudaTraining, ReplaysWhatWasRecorded) {
  for (const int batch_size : {8, 16}) {
    const Finished run =
        train("--device cuda:0 --updates 30 --deterministic --record run.tgr", batch_size, 6);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    const std::string expected = testing::read_file(path("x.safetensors"));
    const Finished replay = tardigrad("train --replay run.tgr --cuda-graphs off --save again.safetensors");
    ASSERT_EQ(replay.exit_code, 0) << replay.err;
    EXPECT_TRUE(testing::read_file(path("again.safetensors")) == expected) << batch_size;
  }
}

/// In groups of up to three jobs of seven workers on one GPU, and of two or three on each of three.
TEST_F(CudaTraining, GivesTheSameBitsInAnyGroups) {
  const auto model_of = [&](const std::string& devices) {
    const Finished run =
        train("--updates 40 --clock virtual --compute-time linear:1:1 --device " + devices, 4, 7);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return testing::read_file(path("x.safetensors"));
  };
  if (cuda_device_count() < 3) GTEST_SKIP() << "needs three GPUs";
  const std::string expected = model_of("cuda:0");
  EXPECT_TRUE(model_of("cuda:0,1,2") == expected);
}

}  // namespace
}  // namespace tardigrad
