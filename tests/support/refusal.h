#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <ostream>
#include <string>

#include "tests/support/program.h"

namespace tardigrad::testing {

/// A command line that is refused.
struct Refusal {
  std::string arguments;  ///< after `train`
  std::string message;    ///< part of what is said
};

inline void PrintTo(const Refusal& refusal, std::ostream* out) { *out << "train " << refusal.arguments; }

/// Bad input is refused in one line that names the thing and what was expected, with exit code 2 and nothing
/// written. The folder has problem.json and an MNIST of 40 images.
class RefusalTest : public QuadraticTest, public ::testing::WithParamInterface<Refusal> {
 protected:
  RefusalTest() { write_images(40, 10); }

  void expect_refusal() const {
    const auto before = files();
    const Finished run = tardigrad("train " + GetParam().arguments +
                                   " --log log.jsonl --save model.safetensors --record recording.jsonl");
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_THAT(run.err, ::testing::HasSubstr(GetParam().message));
    const auto lines = std::count(run.err.begin(), run.err.end(), '\n');
    const bool says_cpu = run.err.find("running on the CPU") != run.err.npos;  // also one line, and no error
    EXPECT_EQ(lines, says_cpu ? 2 : 1) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_EQ(files(), before);
  }
};

}  // namespace tardigrad::testing
