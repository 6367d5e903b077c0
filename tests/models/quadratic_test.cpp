#include "models/quadratic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

namespace tardigrad::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

QuadraticProblem two_workers() {
  return {
      .workers = 2, .dimension = 2, .a = {2, 1, 1, 4, 1, 0, 0, 1}, .b = {1, 2, 0, -1}, .x0 = {0.5F, -0.5F}};
}

TEST(Quadratic, GradientAndLossByHand) {
  Quadratic quadratic(two_workers());
  Stream stream(Device{}, "test");
  const auto engine = quadratic.make_engine(stream);
  std::vector<float> x = {1, 2};
  std::vector<float> gradient(2);
  float loss = 0;
  engine->enqueue_minibatch(0, 0);
  engine->enqueue_gradient(0, host_view(x.data(), 2), host_view(gradient.data(), 2), &loss);
  stream.ref().synchronize();
  EXPECT_THAT(gradient, ElementsAre(2 + 2 - 1, 1 + 8 - 2));
  EXPECT_EQ(loss, 0.5F * (1 * 4 + 2 * 9) - (1 + 4));
  engine->enqueue_gradient(1, host_view(x.data(), 2), host_view(gradient.data(), 2), &loss);
  stream.ref().synchronize();
  EXPECT_THAT(gradient, ElementsAre(1, 3));
}

TEST(Quadratic, EvaluatesTheMeanOfAllWorkers) {
  Quadratic quadratic(two_workers());
  const std::vector<float> x = {1, 2};
  // worker 0: 11 − 5 = 6; worker 1: 2.5 + 2 = 4.5
  EXPECT_EQ(quadratic.evaluate(x).loss, (6 + 4.5) / 2);
  EXPECT_EQ(quadratic.evaluate(x).accuracy, std::nullopt);
}

TEST(Quadratic, TheFullGradientIsTheMeanOfTheWorkers) {
  Quadratic quadratic(two_workers());
  const std::vector<float> x = {1, 2};
  std::vector<double> gradient(2, 77);
  EXPECT_EQ(quadratic.full_gradient(x, gradient), (6 + 4.5) / 2);
  EXPECT_THAT(gradient, ElementsAre((3 + 1) / 2.0, (7 + 3) / 2.0));
}

TEST(Quadratic, StartsWhereTheProblemSays) {
  const Quadratic quadratic(two_workers());
  std::vector<float> x(2);
  quadratic.initialise(x, 5);
  EXPECT_THAT(x, ElementsAre(0.5F, -0.5F));
  EXPECT_EQ(quadratic.layout().tensors().at(0).name, "x");
  EXPECT_EQ(quadratic.workers(), 2);
}

std::string refusal(const std::string& text) {
  const std::string path = ::testing::TempDir() + "tardigrad-quadratic-" + std::to_string(getpid()) + ".json";
  std::ofstream(path) << text;
  std::string message = "accepted";
  try {
    load_quadratic(path);
  } catch (const std::invalid_argument& error) {
    message = error.what();
    EXPECT_THAT(message, HasSubstr(path));
  }
  std::remove(path.c_str());
  return message;
}

TEST(LoadQuadratic, SaysWhatIsWrong) {
  EXPECT_EQ(refusal(R"({"A":[[[1]]],"b":[[1]],"x0":[0]})"), "accepted");
  EXPECT_THAT(refusal("nonsense"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("'A' is not there"));
  EXPECT_THAT(refusal(R"({"A":[[[1]]],"b":[[1]]})"), HasSubstr("'x0' is not there"));
  EXPECT_THAT(refusal(R"({"A":[[[1]]],"b":[[1]],"x0":[]})"), HasSubstr("'x0' is not there"));
  EXPECT_THAT(refusal(R"({"A":[[[1]]],"b":[[1],[2]],"x0":[0]})"), HasSubstr("A holds 1 workers and b 2"));
  EXPECT_THAT(refusal(R"({"A":[[[1]]],"b":[[1,2]],"x0":[0]})"),
              HasSubstr("b[0]: expected an array of 1 numbers"));
  EXPECT_THAT(refusal(R"({"A":[[[1,2]]],"b":[[1]],"x0":[0]})"), HasSubstr("A[0][0]: expected an array of 1"));
  EXPECT_THAT(refusal(R"({"A":[[[1],[2]]],"b":[[1]],"x0":[0]})"), HasSubstr("A[0]: expected 1 rows"));
  EXPECT_THAT(refusal(R"({"A":[[["one"]]],"b":[[1]],"x0":[0]})"),
              HasSubstr("expected finite numbers, found \"one\""));
  EXPECT_THAT(refusal(R"({"A":[[[1e300]]],"b":[[1]],"x0":[0]})"), HasSubstr("expected finite numbers"));
}

TEST(Quadratic, ReckonsWhatAnEngineTakesOfAGpu) {
  const Quadratic quadratic(QuadraticProblem{.workers = 2,
                                             .dimension = 3,
                                             .a = std::vector<float>(18),
                                             .b = std::vector<float>(6),
                                             .x0 = std::vector<float>(3)});
  EXPECT_EQ(quadratic.engine_memory({Backend::cuda, 0}).engine_bytes, (18 + 6) * sizeof(float));
  EXPECT_EQ(quadratic.engine_memory(Device{}).engine_bytes, 0U);
}

}  // namespace
}  // namespace tardigrad::models
