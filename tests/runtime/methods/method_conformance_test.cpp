// Each method alone, without devices and in double, makes the updates of
// tests/tools/train/conformance/*.json.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/base/json_text.h"
#include "tests/runtime/methods/method_simulator.h"
#include "tests/support/conformance_cases.h"
#include "tests/support/temporary_file.h"

namespace tardigrad {
namespace {

using nlohmann::json;
using testing::Vector;

MethodOptions method_options(const json& expected) {
  MethodOptions options{.lr = expected.at("lr"), .compute_times = expected.at("compute_time")};
  options.workers = static_cast<int>(options.compute_times.size());
  for (const auto& [name, value] : expected.at("options").items()) {
    if (name == "gather") {
      options.gather = value;
    } else if (name == "delay_threshold") {
      options.delay_threshold = value;
    } else {
      throw std::invalid_argument("unknown option of a conformance case: " + name);
    }
  }
  return options;
}

/// ∇f_i(x) = A_i x − b_i.
testing::SimulatedProblem quadratic(const json& expected) {
  using Matrix = std::vector<Vector>;
  const auto a = expected.at("problem").at("A").get<std::vector<Matrix>>();
  const auto b = expected.at("problem").at("b").get<Matrix>();
  const auto times = expected.at("compute_time").get<Vector>();
  const auto gradient = [a, b](int worker, std::uint64_t, const Vector& x) {
    Vector result(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      result[i] = -b.at(static_cast<std::size_t>(worker)).at(i);
      for (std::size_t j = 0; j < x.size(); ++j) {
        result[i] += a.at(static_cast<std::size_t>(worker)).at(i).at(j) * x[j];
      }
    }
    return result;
  };
  return {.workers = static_cast<int>(times.size()),
          .x0 = expected.at("problem").at("x0"),
          .lr = expected.at("lr"),
          .duration = [times](int worker, std::uint64_t) { return times[static_cast<std::size_t>(worker)]; },
          .gradient = gradient};
}

double norm(const Vector& vector) {
  double squared = 0;
  for (const double value : vector) squared += value * value;
  return std::sqrt(squared);
}

class MethodConformance : public ::testing::TestWithParam<std::string> {};

TEST_P(MethodConformance, MakesTheExpectedUpdates) {
  const json expected = parse_own_json(testing::read_file(testing::conformance_case(GetParam())));
  const auto method = make_method(expected.at("method").get<std::string>(), method_options(expected));
  testing::MethodSimulator simulator(*method, quadratic(expected));
  simulator.run(expected.at("updates"));

  const json& wanted = expected.at("expect").at("updates");
  ASSERT_EQ(simulator.updates().size(), wanted.size());
  for (std::size_t k = 0; k < wanted.size(); ++k) {
    const testing::SimulatedUpdate& update = simulator.updates()[k];
    const double time = wanted[k].at(0);
    EXPECT_NEAR(update.time, time, 1e-9 * time) << "update " << k + 1;
    EXPECT_EQ(update.worker, wanted[k].at(1)) << "update " << k + 1;
    EXPECT_EQ(update.staleness, wanted[k].at(2)) << "update " << k + 1;
    // The files round to 12 places.
    EXPECT_NEAR(update.step_size, wanted[k].at(3).get<double>(), 5.001e-13) << "update " << k + 1;
  }
  // Both sides are double; they add up in different orders.
  const Vector x = expected.at("expect").at("x");
  Vector difference = simulator.x();
  for (std::size_t i = 0; i < x.size(); ++i) difference[i] -= x.at(i);
  EXPECT_LE(norm(difference), 1e-9 * norm(x));
}

INSTANTIATE_TEST_SUITE_P(Cases, MethodConformance, ::testing::ValuesIn(testing::conformance_case_names()),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace tardigrad
