#include "tools/resume/resume.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "runtime/base/json_text.h"
#include "runtime/base/output_path.h"
#include "runtime/base/say.h"
#include "runtime/base/state_archive.h"
#include "runtime/ranks/mpi_job.h"
#include "tools/options/option_records.h"
#include "tools/resume/option_files.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

[[noreturn]] void refuse_resume(const std::string& message) { throw std::invalid_argument(message); }

std::shared_ptr<const Checkpoint> read_checkpoint(const fs::path& path) {
  return std::make_shared<const Checkpoint>(Checkpoint::read(path));
}

/// Reads the newest one that is whole.
std::shared_ptr<const Checkpoint> newest_in(const fs::path& folder) {
  const std::vector<fs::path> checkpoints = CheckpointFolder::list(folder);
  std::string damage;
  for (auto one = checkpoints.rbegin(); one != checkpoints.rend(); ++one) {
    try {
      auto checkpoint = read_checkpoint(*one);
      if (!damage.empty() && speaks_for_all_ranks()) {
        say_line("--resume: {}; going on from {}", damage, one->string());
      }
      return checkpoint;
    } catch (const std::invalid_argument& error) {
      if (damage.empty()) damage = error.what();
    }
  }
  if (!damage.empty()) {
    refuse_resume(fmt::format("--resume: no checkpoint in {} is whole: {}", folder.string(), damage));
  }
  return nullptr;
}

bool is_whole(const fs::path& checkpoint) {
  try {
    static_cast<void>(Checkpoint::read(checkpoint));
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

/// What a run leaves, for whoever resumes it: descriptors that a shell has opened for this one will be no
/// more.
TrainOptions without_descriptors(TrainOptions options) {
  for (std::string* output : {&options.save, &options.log, &options.record, &options.trace}) {
    if (descriptor_of(*output).value_or(STDOUT_FILENO) != STDOUT_FILENO) output->clear();
  }
  return options;
}

/// Checkpoints that the run would mix with its own.
void require_no_others(const TrainOptions& options) {
  const std::vector<fs::path> there = CheckpointFolder::list(options.checkpoint_dir);
  if (there.empty()) return;
  const auto fail = [&](const std::string& what) {
    refuse_resume(fmt::format(
        "--checkpoint-dir {}: holds {}; expected --resume latest to go on with that run, or another "
        "folder",
        options.checkpoint_dir, what));
  };
  if (options.resume.empty()) fail("checkpoints already");
  const auto resumed = std::ranges::find_if(there, [&](const fs::path& one) {
    std::error_code error;
    return fs::equivalent(one, options.resume, error);
  });
  if (resumed == there.end()) fail("checkpoints of another run");
  const auto newer = std::find_if(resumed + 1, there.end(), is_whole);
  if (newer != there.end()) fail(newer->filename().string() + ", which is newer");
}

}  // namespace

const Json& run_record_of(const Checkpoint& checkpoint) {
  const auto run = checkpoint.state().find("run");
  if (run == checkpoint.state().end() || !run->is_object()) {
    refuse_resume(fmt::format("--resume {}: state.json: expected a run record", checkpoint.path.string()));
  }
  return *run;
}

std::shared_ptr<const Checkpoint> find_checkpoint(const std::string& resume,
                                                  const std::string& checkpoint_dir) {
  if (resume == "latest") {
    if (checkpoint_dir.empty()) refuse_resume("--resume latest needs --checkpoint-dir");
    auto newest = newest_in(checkpoint_dir);
    if (!newest && speaks_for_all_ranks()) {
      say_line("--resume latest: no checkpoint in {} yet: the run begins", checkpoint_dir);
    }
    return newest;
  }
  std::error_code error;
  if (!fs::is_directory(resume, error)) {
    refuse_resume(fmt::format("--resume {}: expected a checkpoint, a folder of them, or latest", resume));
  }
  if (fs::exists(fs::path(resume) / "manifest.json", error)) return read_checkpoint(resume);
  auto newest = newest_in(resume);
  if (!newest) refuse_resume(fmt::format("--resume {}: there is no checkpoint in it", resume));
  return newest;
}

std::vector<GivenOption> options_of(const Checkpoint& checkpoint) {
  const Json& run = run_record_of(checkpoint);
  const fs::path& path = checkpoint.path;
  const std::string source = fmt::format("--resume {}: ", path.string());
  std::vector<GivenOption> options = options_in(run, Record::run, source);
  for (GivenOption& output : options_in(run, Record::outputs, source)) options.push_back(std::move(output));
  const fs::path folder = path.has_filename() ? path.parent_path() : path.parent_path().parent_path();
  options.push_back({"--checkpoint-dir", (folder.empty() ? fs::path(".") : folder).string(), source});
  return options;
}

CheckpointRecord record_of(const Checkpoint& checkpoint) {
  CheckpointRecord record;
  StateArchive state(checkpoint.state(), (checkpoint.path / "state.json").string());
  state.object("coordinator", [&record](StateArchive& coordinator) {
    coordinator.number("version", record.update, std::uint64_t{0}, StateArchive::any);
    coordinator.number("gradients", record.gradients, std::uint64_t{0}, StateArchive::any);
  });
  record.name = CheckpointFolder::name(record.update, record.gradients);
  record.time = std::numeric_limits<double>::infinity();
  return record;
}

CheckpointOptions checkpoint_options(const TrainOptions& options, const std::string& run_json) {
  CheckpointOptions checkpoints;
  checkpoints.every_updates = options.checkpoint_every.updates;
  checkpoints.every_s = options.checkpoint_every.time;
  if (options.checkpoint_dir.empty()) return checkpoints;
  checkpoints.folder = options.checkpoint_dir;
  checkpoints.keep = static_cast<std::size_t>(options.keep);
  Json run = parse_own_json<Json>(run_json);
  run.update(parse_own_json<Json>(outputs_json(without_descriptors(options))));
  checkpoints.run_json = json_text(run);
  require_no_others(options);
  return checkpoints;
}

}  // namespace tardigrad
