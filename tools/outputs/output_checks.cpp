#include "tools/outputs/output_checks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "runtime/base/output_path.h"
#include "tools/tensorboard/tensorboard.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_output(const char* flag, const std::string& file, const std::string& reason) {
  throw std::invalid_argument(fmt::format("{} {}: {}", flag, file, reason));
}

void require_writable_stream(const char* flag, const std::string& file) {
  const auto descriptor = descriptor_of(file);
  if (!descriptor) {
    if (access(file.c_str(), W_OK) != 0) refuse_output(flag, file, "is not writable");
    return;
  }
  const int status = fcntl(*descriptor, F_GETFL);
  if (status < 0 || (status & O_ACCMODE) == O_RDONLY) {
    refuse_output(flag, file, fmt::format("descriptor {} is not open for writing", *descriptor));
  }
}

void require_place_of(const char* flag, const std::string& file) {
  if (is_stream(file)) return require_writable_stream(flag, file);
  const fs::path path(file);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  if (!fs::is_directory(folder)) refuse_output(flag, file, "there is no folder " + folder.string());
  if (access(folder.c_str(), W_OK) != 0) {
    refuse_output(flag, file, "folder " + folder.string() + " is not writable");
  }
  if (fs::is_directory(path)) refuse_output(flag, file, "is a folder; expected a file");
}

/// A model is no text.
void require_place_of_model(const char* flag, const std::string& file) {
  require_place_of(flag, file);
  const auto descriptor = descriptor_of(file);
  if (descriptor && isatty(*descriptor) != 0) {
    refuse_output(flag, file, "would write a model to the terminal; expected a file or a pipe");
  }
}

struct Output {
  const char* flag;
  std::string path;
  void (*check)(const char* flag, const std::string& path) = require_place_of;
};

/// Those that the run has.
std::vector<Output> outputs_of(const TrainOptions& options) {
  std::vector<Output> outputs = {{"--save", options.save, require_place_of_model},
                                 {"--log", options.log},
                                 {"--record", options.record},
                                 {"--trace", options.trace},
                                 {"--tensorboard", options.tensorboard, check_event_folder}};
  std::erase_if(outputs, [](const Output& output) { return output.path.empty(); });
  return outputs;
}

/// However its path is written.
void require_not_replayed(const char* flag, const std::string& file, const std::string& replay) {
  std::error_code absent;
  if (fs::equivalent(file, replay, absent)) refuse_output(flag, file, "is the file to --replay");
}

/// A person at a terminal sees both.
void require_not_stderr(const char* flag, const std::string& file, const std::string& identity) {
  if (isatty(STDERR_FILENO) != 0 || identity != identity_of("/dev/stderr")) return;
  refuse_output(flag, file, "messages on stderr go there, too; expected 2> to take them elsewhere");
}

}  // namespace

void check_outputs(const TrainOptions& options) {
  std::map<std::string, const char*> flags;  // by the identities of their files
  for (const auto& [flag, file, check] : outputs_of(options)) {
    check(flag, file);
    require_not_replayed(flag, file, options.replay);
    const auto identity = identity_of(file);
    if (!identity) continue;
    require_not_stderr(flag, file, *identity);
    const auto [other, is_new] = flags.emplace(*identity, flag);
    if (is_new) continue;
    refuse_output(flag, file,
                  fmt::format("is the {} of {}", is_stream(file) ? "stream" : "file", other->second));
  }
  if (!options.replay.empty() && !(options.checkpoint_dir.empty() && options.resume.empty())) {
    throw std::invalid_argument(
        "--checkpoint-dir and --resume have no use with --replay, which can begin again");
  }
  if (options.trace_size_mib && options.trace.empty()) {
    throw std::invalid_argument("--trace-size has no use without --trace");
  }
}

bool takes_stdout(const TrainOptions& options) {
  const auto stdout_identity = identity_of("/dev/stdout");
  return std::ranges::any_of(outputs_of(options), [&](const Output& output) {
    return descriptor_of(output.path) == STDOUT_FILENO ||
           (stdout_identity && identity_of(output.path) == stdout_identity);
  });
}

}  // namespace tardigrad
