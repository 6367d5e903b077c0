// Every method makes exactly the updates that were worked out by hand (in float64) for it:
// tests/tools/train/conformance/*.json through the command line, in virtual time, on the CPU and on a GPU.

#include <cmath>
#include <tuple>

#include "runtime/base/json_text.h"
#include "runtime/device/device.h"
#include "tests/support/conformance_cases.h"
#include "tests/support/program.h"

namespace tardigrad {
namespace {

using nlohmann::json;

/// Of a case and what `--device` is.
class Conformance : public testing::ProgramTest,
                    public ::testing::WithParamInterface<std::tuple<std::string, std::string>> {
 protected:
  static const std::string& case_name() { return std::get<0>(GetParam()); }
  static const std::string& device() { return std::get<1>(GetParam()); }

  void SetUp() override {
    if (device() == "cuda" && cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  }

  static std::string command(const json& expected) {
    std::string times;
    for (const json& time : expected.at("compute_time")) {
      times += (times.empty() ? "" : ",") + json_text(time);
    }
    std::string text = "train --model quadratic:problem.json --clock virtual --log log.jsonl --device " +
                       device() +
                       (" --save model.safetensors --method " + expected.at("method").get<std::string>()) +
                       " --compute-time " + times + " --lr " + json_text(expected.at("lr")) + " --updates " +
                       json_text(expected.at("updates"));
    for (const auto& [name, value] : expected.at("options").items()) {
      std::string flag = name;
      std::replace(flag.begin(), flag.end(), '_', '-');
      text += " --" + flag + " " + json_text(value);
    }
    return text;
  }

  /// The F32 tensor "x".
  std::vector<float> saved_x() const {
    const std::string file = testing::read_file(path("model.safetensors"));
    std::uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, file.data(), 8);
    const json header = parse_own_json(file.substr(8, header_bytes));
    const auto offsets = header.at("x").at("data_offsets").get<std::vector<std::size_t>>();
    EXPECT_EQ(header.at("x").at("dtype"), "F32");
    std::vector<float> x((offsets.at(1) - offsets.at(0)) / sizeof(float));
    std::memcpy(x.data(), file.data() + 8 + header_bytes + offsets.at(0), x.size() * sizeof(float));
    return x;
  }
};

TEST_P(Conformance, MakesTheExpectedUpdates) {
  const json expected = parse_own_json(testing::read_file(testing::conformance_case(case_name())));
  write("problem.json", json_text(expected.at("problem")));
  const testing::Finished run = tardigrad(command(expected));
  ASSERT_EQ(run.exit_code, 0) << run.err;

  const auto updates = testing::records_of(path("log.jsonl"), "update");
  const json& wanted = expected.at("expect").at("updates");
  ASSERT_EQ(updates.size(), wanted.size());
  for (std::size_t k = 0; k < updates.size(); ++k) {
    const double time = wanted[k].at(0);
    EXPECT_EQ(updates[k].at("update"), k + 1);
    EXPECT_NEAR(updates[k].at("time").get<double>(), time, 1e-6 * time) << "update " << k + 1;
    EXPECT_EQ(updates[k].at("worker"), wanted[k].at(1)) << "update " << k + 1;
    EXPECT_EQ(updates[k].at("staleness"), wanted[k].at(2)) << "update " << k + 1;
    // The cases give step sizes with 12 decimals.
    EXPECT_NEAR(updates[k].at("lr").get<double>(), wanted[k].at(3).get<double>(), 5.001e-13)
        << "update " << k + 1;
  }

  // fp32 against float64 over some hundred updates: rounding of 6e-8 each, not amplified where the method
  // converges.
  const auto x = saved_x();
  const auto wanted_x = expected.at("expect").at("x").get<std::vector<double>>();
  ASSERT_EQ(x.size(), wanted_x.size());
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += std::pow(static_cast<double>(x[i]) - wanted_x[i], 2);
    norm += std::pow(wanted_x[i], 2);
  }
  EXPECT_LE(std::sqrt(difference), 2e-5 * std::sqrt(norm));
}

INSTANTIATE_TEST_SUITE_P(Cases, Conformance,
                         ::testing::Combine(::testing::ValuesIn(testing::conformance_case_names()),
                                            ::testing::Values("cpu", "cuda")),
                         [](const auto& tested) {
                           std::string name = std::get<0>(tested.param) + "_" + std::get<1>(tested.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace tardigrad
