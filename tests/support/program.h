#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "runtime/base/json_text.h"
#include "tests/support/temporary_file.h"
#include "tests/tools/program_server.h"

namespace tardigrad::testing {

/// What a finished program left.
struct Finished {
  int exit_code = -1;
  std::string out;
  std::string err;
};

/// The records of a `--log` file, one JSON object a line.
inline std::vector<nlohmann::json> read_log(const std::filesystem::path& path) {
  std::vector<nlohmann::json> records;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) records.push_back(parse_own_json(line));
  return records;
}

inline std::vector<nlohmann::json> records_of(const std::filesystem::path& log, const std::string& event) {
  std::vector<nlohmann::json> chosen;
  for (auto& record : read_log(log)) {
    if (record.at("event") == event) chosen.push_back(std::move(record));
  }
  return chosen;
}

/// The row of a printed table that begins so: its label, and the words behind that.
inline std::vector<std::string> row_of_table(const Finished& run, const std::string& label) {
  std::istringstream lines(run.out);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(label + "  ")) continue;
    std::istringstream rest(line.substr(label.size()));
    std::vector<std::string> words{label};
    words.insert(words.end(), std::istream_iterator<std::string>(rest), {});
    return words;
  }
  ADD_FAILURE() << "no row of " << label << " in\n" << run.out << run.err;
  return {};
}

/// A test of the command line: has a folder of its own, which is also where the program runs.
class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string(test->test_suite_name()) + "-" + test->name();
    std::replace(name.begin(), name.end(), '/', '-');
    folder_ =
        std::filesystem::path(::testing::TempDir()) / ("tardigrad-" + name + "-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    // What programs keep of how GPUs compute best: for this test alone, and beside what it leaves.
    setenv("TARDIGRAD_PLANS", plans().c_str(), 1);
  }
  ~ProgramTest() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::remove_all(plans());
  }

  std::filesystem::path path(const std::string& name) const { return folder_ / name; }

  std::filesystem::path plans() const { return folder_.string() + "-plans"; }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }

  /// Runs `tardigrad ARGUMENTS` (shell words) in the folder.
  Finished tardigrad(const std::string& arguments) const {
    const std::string name = in_front_;
    const auto served = serve_program(folder_, arguments, name + ".out", name + ".err");
    return finished(served ? *served : std::system(command(arguments, name).c_str()), name);
  }

  /// Runs a script of bash in the folder, in which "$tardigrad" is the program; the script's own redirections
  /// win.
  Finished shell(const std::string& script) const {
    write(".script", "tardigrad='" + binary() + "'\n" + script);
    const Finished run = finished(
        std::system(("cd '" + folder_.string() + "' && exec bash .script >.out 2>.err </dev/null").c_str()));
    std::filesystem::remove(path(".script"));
    return run;
  }

  /// The same in the background, until wait_for; `before` are commands of the shell that it comes from.
  /// Signals that whoever started the tests ignores are not ignored there.
  pid_t start(const std::string& arguments, const std::string& before = "true") const {
    const std::string line = before + " && " + command(arguments);
    const pid_t child = fork();
    if (child == 0) {
      for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) signal(number, SIG_DFL);
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(127);
    }
    return child;
  }

  Finished wait_for(pid_t child) const {
    int status = 0;
    waitpid(child, &status, 0);
    return finished(status);
  }

  /// The same, but sends an interrupt once the log shows an update.
  Finished tardigrad_interrupted(const std::string& arguments, const std::string& log) const {
    const pid_t child = start(arguments);
    int status = 0;
    while (read_file(path(log)).find("\"update\":") == std::string::npos) {
      if (waitpid(child, &status, WNOHANG) != 0) return finished(status);
      std::this_thread::yield();
    }
    kill(child, SIGINT);
    return wait_for(child);
  }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  /// Writes a small data set in the files of MNIST: 28×28 images whose class is a bright row, easy to learn.
  void write_images(int train_count, int test_count) const {
    write_split("train", train_count);
    write_split("t10k", test_count);
  }

 private:
  /// The shell gives way to the program, which thus gets the signals sent to it.
  /// What it prints goes to the files `name`.out and `name`.err.
  std::string command(const std::string& arguments, const std::string& name = "") const {
    return "cd '" + folder_.string() + "' && exec " + binary() + " " + arguments + " >" + name + ".out 2>" +
           name + ".err </dev/null";
  }

  static std::string binary() {
    const char* other = std::getenv("TARDIGRAD_BINARY");  // the one with emulated GPUs
    return other != nullptr ? other : TARDIGRAD_BINARY;
  }

  Finished finished(int status, const std::string& name = "") const {
    Finished finished{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                      read_file(path(name + ".out")), read_file(path(name + ".err"))};
    std::filesystem::remove(path(name + ".out"));
    std::filesystem::remove(path(name + ".err"));
    return finished;
  }

  static std::string big_endian(std::vector<int> words) {
    std::string bytes;
    for (const int word : words) {
      for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(word >> shift & 0xff));
    }
    return bytes;
  }

  void write_split(const std::string& split, int count) const {
    std::string images = big_endian({0x803, count, 28, 28});
    std::string labels = big_endian({0x801, count});
    for (int i = 0; i < count; ++i) {
      const int label = i % 10;
      labels.push_back(static_cast<char>(label));
      for (int pixel = 0; pixel < 28 * 28; ++pixel) {
        const int noise = (i * 131 + pixel * 17) % 23;
        images.push_back(static_cast<char>(pixel / 28 / 2 == label + 2 ? 200 + noise : noise));
      }
    }
    write(split + "-images-idx3-ubyte", images);
    write(split + "-labels-idx1-ubyte", labels);
  }

  /// Files of a program that is waited for, beside those of one in the background.
  static constexpr const char* in_front_ = ".front";
  std::filesystem::path folder_;
};

/// Has a problem of two workers in problem.json: f_0 has its minimum at (1, 0), f_1 at (0, 1), their mean at
/// (⅓, ⅓).
class QuadraticTest : public ProgramTest {
 protected:
  QuadraticTest() {
    write("problem.json", R"({"A":[[[1,0],[0,2]],[[2,0],[0,1]]],"b":[[1,0],[0,1]],"x0":[0.5,-0.5]})");
  }
};

}  // namespace tardigrad::testing
