// Runs a target on kept inputs, without libFuzzer: `fuzz_idx FILE-OR-FOLDER…`. A crash is the target's; more
// memory than a fuzzing run may take fails, too.
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <span>
#include <vector>

#include "tests/fuzz/input.h"

namespace {

using Path = std::filesystem::path;

std::vector<Path> files_of(const Path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<Path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::string contents_of(const Path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path.string() + ": cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

long peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

}  // namespace

int main(int count, char** arguments) try {
  constexpr long most_mib = 512;
  int inputs = 0;
  for (const Path argument : std::span(arguments, static_cast<std::size_t>(count)).subspan(1)) {
    for (const Path& file : files_of(argument)) {
      std::cerr << file.string() << std::endl;  // before it crashes
      const std::string bytes = contents_of(file);
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
      if (peak_mib() > most_mib) throw std::runtime_error("took more than 512 MiB");
      ++inputs;
    }
  }
  if (inputs == 0) throw std::runtime_error("no inputs");
  return 0;
} catch (const std::exception& error) {
  std::cerr << "expected no exception: " << error.what() << "\n";
  return 1;
}
