#include "runtime/checkpoint/checkpoint_folder.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "runtime/base/json_text.h"
#include "runtime/base/parse_number.h"
#include "runtime/base/refuse_file.h"
#include "runtime/base/trouble.h"
#include "runtime/checkpoint/durable_file.h"
#include "runtime/checkpoint/safetensors.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int format = 1;
constexpr std::array<const char*, 3> members = {"model.safetensors", "state.safetensors", "state.json"};

void write_durably(const fs::path& path, const std::string& text) {
  DurableFile file(path);
  file.write(0, text);
  file.sync();
}

/// A link could lead anywhere, and a pipe has no end.
std::uintmax_t size_of(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  const std::uintmax_t bytes = fs::is_regular_file(status) ? fs::file_size(path, error) : 0;
  if (error) refuse_file(path, "cannot be read: " + error.message());
  if (!fs::is_regular_file(status)) refuse_file(path, "expected a regular file, and no link to one");
  return bytes;
}

Json read_json(const fs::path& path) {
  constexpr std::uintmax_t most_bytes = std::uintmax_t{1} << 30;
  const std::uintmax_t bytes = size_of(path);
  std::ifstream file(path);
  if (!file) refuse_file(path, "cannot be read; expected a file of a checkpoint");
  if (bytes > most_bytes) {
    refuse_file(path, fmt::format("has {} bytes; expected a file of a checkpoint", bytes));
  }
  std::string text(std::istreambuf_iterator<char>(file), {});
  Json json = parse_json<Json>(text);
  if (!json.is_object()) refuse_file(path, "expected a JSON object");
  return json;
}

FileDigest digest_in(const fs::path& manifest, const Json& files, const char* name) {
  const auto entry = files.find(name);
  if (entry == files.end() || !entry->is_object() || !entry->value("bytes", Json()).is_number_unsigned() ||
      !entry->value("xxh3", Json()).is_string()) {
    refuse_file(manifest, fmt::format("expected bytes and xxh3 of {}", name));
  }
  return {entry->at("bytes").get<std::uint64_t>(), entry->at("xxh3").get<std::string>()};
}

/// What cannot be read is as bad as what is damaged.
FileDigest digest_to_check(const fs::path& path) try {
  return digest_of(path);
} catch (const std::runtime_error& error) {
  throw std::invalid_argument(error.what());
}

/// Only the three files have a place in it, so no name it could hold is ever followed.
void check_files(const fs::path& path) {
  const fs::path manifest = path / "manifest.json";
  const Json json = read_json(manifest);
  if (json.value("format", Json()) != format) {
    refuse_file(manifest,
                fmt::format("is of format {}; expected {}", json_text(json.value("format", Json())), format));
  }
  const Json files = json.value("files", Json());
  if (!files.is_object() || files.size() != members.size()) {
    refuse_file(manifest, fmt::format("expected {} files", members.size()));
  }
  for (const char* name : members) {
    const FileDigest expected = digest_in(manifest, files, name);
    const std::uintmax_t bytes = size_of(path / name);
    if (bytes != expected.bytes) {
      refuse_file(path / name, fmt::format("has {} bytes; expected {}", bytes, expected.bytes));
    }
    if (digest_to_check(path / name) != expected) {
      refuse_file(path / name, "is damaged: its checksum is not that of the manifest");
    }
  }
}

struct NamedProgress {
  std::uint64_t updates;
  std::uint64_t gradients;
};

/// What a name says that CheckpointFolder::name gives.
std::optional<NamedProgress> progress_of(const std::string& name) {
  constexpr std::string_view first = "update-";
  constexpr std::string_view second = "-gradient-";
  const std::size_t at = name.find(second);
  if (!name.starts_with(first) || at == std::string::npos) return std::nullopt;
  const auto updates = parse_number<std::uint64_t>(name.substr(first.size(), at - first.size()));
  const auto gradients = parse_number<std::uint64_t>(name.substr(at + second.size()));
  if (!updates || !gradients) return std::nullopt;
  return NamedProgress{*updates, *gradients};
}

/// None where there is no such folder.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
  } catch (const fs::filesystem_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory && error.code() != std::errc::not_a_directory) {
      refuse_file(folder, fmt::format("cannot be read: {}; expected a folder for checkpoints",
                                      error.code().message()));
    }
  }
  return entries;
}

/// In place of another checkpoint of that name, if there is one, which then has the name `from`, at no moment
/// of which there is none.
void rename_over(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return;
  const std::error_code error(errno, std::system_category());
  const bool cannot_exchange = error == std::errc::invalid_argument ||
                               error == std::errc::function_not_supported ||
                               error == std::errc::operation_not_supported;
  if (cannot_exchange) {
    fs::remove_all(to);
  } else if (error != std::errc::no_such_file_or_directory) {
    throw fs::filesystem_error("cannot be replaced", to, error);
  }
  fs::rename(from, to);
}

/// The entries of a new folder, and of those above it, as far as the system lets us.
void sync_ancestors(const fs::path& folder) {
  fs::path path = fs::absolute(folder).lexically_normal();
  while (path.has_relative_path()) {
    path = path.parent_path();
    try {
      sync_folder(path);
    } catch (const std::runtime_error&) {
      return;
    }
  }
}

}  // namespace

void write_manifest(const fs::path& folder) {
  Json manifest = {{"format", format}};
  for (const char* name : members) {
    const FileDigest digest = digest_of(folder / name);
    manifest["files"][name] = {{"bytes", digest.bytes}, {"xxh3", digest.xxh3}};
  }
  write_durably(folder / "manifest.json", json_text(manifest, 2) + "\n");
}

void complete_checkpoint(const fs::path& unnamed, const fs::path& checkpoint, const Json& state) {
  write_durably(unnamed / "state.json", json_text(state));
  write_manifest(unnamed);
  sync_folder(unnamed);
  rename_over(unnamed, checkpoint);
  sync_folder(checkpoint.parent_path());
  std::error_code error;
  fs::remove_all(unnamed, error);  // one that it has replaced
}

Checkpoint Checkpoint::read(const fs::path& path) {
  if (!fs::is_directory(path)) refuse_file(path, "expected the folder of a checkpoint");
  check_files(path);
  return {path, std::make_shared<const Json>(read_json(path / "state.json"))};
}

VectorFile Checkpoint::vectors(std::size_t dimension) const {
  return {path / "state.safetensors", dimension};
}

void Checkpoint::read_model(const ParameterLayout& layout, std::span<float> model) const {
  load_safetensors(path / "model.safetensors", layout, model);
}

CheckpointFolder::CheckpointFolder(fs::path path) : path_(std::move(path)) {
  const auto fail = [this](const std::string& what, int error) {
    throw std::invalid_argument(fmt::format("--checkpoint-dir {}: {}: {}; expected a folder for checkpoints",
                                            path_.string(), what, std::strerror(error)));
  };
  std::error_code error;
  const bool is_new = !fs::exists(path_, error);
  fs::create_directories(path_, error);
  if (error) fail("cannot be created", error.value());
  if (is_new) sync_ancestors(path_);
  try {
    lock_.emplace(path_ / ".lock");
  } catch (const std::system_error& trouble) {
    fail("cannot be written", trouble.code().value());
  }
  if (lock_->state() == FileLock::State::held_elsewhere) {
    throw std::invalid_argument(fmt::format(
        "--checkpoint-dir {}: is in use by another run; expected a folder of its own", path_.string()));
  }
  if (lock_->state() == FileLock::State::unknown) {
    Trouble("--checkpoint-dir " + path_.string())
        .tell(fmt::format("cannot be locked: {}; the run goes on, and another that uses the folder meanwhile "
                          "would not be noticed",
                          lock_->why()));
  }
  for (const fs::path& entry : entries_of(path_)) {
    const std::string name = entry.filename();
    const std::string stem = entry.stem();
    if (name.starts_with('.') && name.ends_with(".partial") && progress_of(stem.substr(1))) {
      fs::remove_all(entry, error);
    }
  }
}

std::string CheckpointFolder::name(std::uint64_t updates, std::uint64_t gradients) {
  return fmt::format("update-{}-gradient-{}", updates, gradients);
}

std::optional<std::uint64_t> CheckpointFolder::update_of(const std::string& name) {
  const auto progress = progress_of(name);
  return progress ? std::optional(progress->updates) : std::nullopt;
}

std::vector<fs::path> CheckpointFolder::list(const fs::path& path) {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  std::error_code error;
  for (const fs::path& entry : entries_of(path)) {
    const auto progress = progress_of(entry.filename());
    if (progress && fs::is_directory(entry, error)) found.emplace_back(progress->gradients, entry);
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> checkpoints;
  checkpoints.reserve(found.size());
  for (auto& [gradients, checkpoint] : found) checkpoints.push_back(std::move(checkpoint));
  return checkpoints;
}

void CheckpointFolder::prune(std::size_t keep) const try {
  const std::vector<fs::path> checkpoints = list(path_);
  std::error_code error;
  std::vector<fs::path> leaving;
  for (std::size_t i = 0; i + keep < checkpoints.size(); ++i) {
    const fs::path unnamed_one = unnamed(checkpoints[i].filename());
    fs::rename(checkpoints[i], unnamed_one, error);
    if (!error) leaving.push_back(unnamed_one);
  }
  if (leaving.empty()) return;
  sync_folder(path_);  // after a power cut none may have its name and only some of its files
  for (const fs::path& one : leaving) fs::remove_all(one, error);
} catch (const std::exception&) {
  // What is left goes the next time, or when a run begins here.
}

}  // namespace tardigrad
