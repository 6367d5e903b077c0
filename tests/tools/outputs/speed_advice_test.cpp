#include "tools/outputs/speed_advice.h"

#include <gtest/gtest.h>

namespace tardigrad {
namespace {

struct Speed {
  std::string device;
  double compute_time;
  std::uint64_t jobs = 100;
};

std::optional<std::string> advice(const std::vector<Speed>& speeds, const data::BatchSizes& sizes) {
  std::vector<WorkerRecord> workers;
  for (const Speed& speed : speeds) {
    workers.push_back({.worker = static_cast<int>(workers.size()),
                       .device = speed.device,
                       .jobs = speed.jobs,
                       .mean_compute_time = speed.compute_time,
                       .staleness = {}});
  }
  return speed_advice(workers, sizes);
}

TEST(SpeedAdvice, ProposesSizesAndNumbersOfWorkersInProportionToSpeeds) {
  EXPECT_EQ(
      advice({{"cuda:0", 1}, {"cuda:1", 4}}, 40),
      "worker 1 takes 4.0 times as long as worker 0; about as long as each other: --batch-size 64,16, or "
      "--workers-per-device 4,1 on cuda:0,cuda:1");
}

TEST(SpeedAdvice, GoesByImagesWhereSizesDiffer) {
  EXPECT_EQ(
      advice({{"cuda:0", 2}, {"cuda:0", 2}, {"cuda:0", 1}}, data::BatchSizes({64, 64, 64})),
      "worker 0 takes 2.0 times as long as worker 2; about as long as each other: --batch-size 48,48,96");
  EXPECT_EQ(advice({{"cuda:0", 1}, {"cuda:1", 1}}, data::BatchSizes({64, 16})), std::nullopt);
}

TEST(SpeedAdvice, KeepsAWorkerOnTheSlowestDevice) {
  const auto line = advice({{"cuda:0", 1}, {"cuda:1", 9}}, 1);
  ASSERT_TRUE(line);
  EXPECT_NE(line->find("--batch-size 2,1, or --workers-per-device 9,1 on"), std::string::npos) << *line;
}

TEST(SpeedAdvice, SaysNothingOfWorkersThatAreAboutEven) {
  EXPECT_EQ(advice({{"cuda:0", 1}, {"cuda:1", 1.49}}, 32), std::nullopt);
  EXPECT_NE(advice({{"cuda:0", 1}, {"cuda:1", 1.5}}, 32), std::nullopt);
}

TEST(SpeedAdvice, SaysNothingWhereItCannotTell) {
  EXPECT_EQ(advice({}, 32), std::nullopt);
  EXPECT_EQ(advice({{"cuda:0", 1}, {"cuda:1", 5, 9}}, 32), std::nullopt);
  EXPECT_EQ(advice({{"cuda:0", 0}, {"cuda:1", 5}}, 32), std::nullopt);
}

TEST(SpeedAdvice, ListsNoMoreThanSixteenSizes) {
  std::vector<Speed> speeds(16, {"cpu:0", 1});
  speeds.back().compute_time = 2;
  EXPECT_NE(advice(speeds, 32), std::nullopt);
  speeds.push_back({"cpu:0", 1});
  EXPECT_EQ(advice(speeds, 32), std::nullopt);
}

}  // namespace
}  // namespace tardigrad
