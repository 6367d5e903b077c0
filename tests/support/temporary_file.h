#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

namespace tardigrad {

/// The name of a file that nobody else has; what was written there goes with it.
class TemporaryFile {
 public:
  TemporaryFile() {
    static int count = 0;
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string("tardigrad-") + test->test_suite_name() + "-" + test->name() + "-";
    std::replace(name.begin(), name.end(), '/', '-');  // of tests with parameters
    path_ = (std::filesystem::path(::testing::TempDir()) /
             (name + std::to_string(getpid()) + "-" + std::to_string(count++)))
                .string();
  }
  explicit TemporaryFile(const std::string& text) : TemporaryFile() { write(text); }
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

  /// Replaces what it held; returns the path.
  const std::string& write(const std::string& text) const {
    std::ofstream(path_) << text;
    return path_;
  }

 private:
  std::string path_;
};

namespace testing {

/// What it holds, or nothing where there is none.
inline std::string read_file(const std::filesystem::path& path) {
  std::ostringstream contents;
  contents << std::ifstream(path, std::ios::binary).rdbuf();
  return std::move(contents).str();
}

}  // namespace testing
}  // namespace tardigrad
