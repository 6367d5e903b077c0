#include "runtime/checkpoint/checkpoint_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "runtime/checkpoint/durable_file.h"
#include "runtime/json_text.h"
#include "runtime/parse_number.h"
#include "runtime/safetensors.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int format = 1;
constexpr std::array<const char*, 3> members = {"model.safetensors", "state.safetensors", "state.json"};

[[noreturn]] void refuse(const fs::path& path, const std::string& reason) {
  throw std::invalid_argument(fmt::format("{}: {}", path.string(), reason));
}

void write_durably(const fs::path& path, const std::string& text) {
  DurableFile file(path);
  file.write(0, text);
  file.sync();
}

Json read_json(const fs::path& path) {
  constexpr std::uintmax_t most_bytes = std::uintmax_t{1} << 30;
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(path, error);
  std::ifstream file(path);
  if (error || !file) refuse(path, "cannot be read; expected a file of a checkpoint");
  if (bytes > most_bytes) refuse(path, fmt::format("has {} bytes; expected a file of a checkpoint", bytes));
  std::string text(std::istreambuf_iterator<char>(file), {});
  Json json = parse_json<Json>(text);
  if (!json.is_object()) refuse(path, "expected a JSON object");
  return json;
}

FileDigest digest_in(const fs::path& manifest, const Json& files, const char* name) {
  const auto entry = files.find(name);
  if (entry == files.end() || !entry->is_object() || !entry->value("bytes", Json()).is_number_unsigned() ||
      !entry->value("xxh3", Json()).is_string()) {
    refuse(manifest, fmt::format("expected bytes and xxh3 of {}", name));
  }
  return {entry->at("bytes").get<std::uint64_t>(), entry->at("xxh3").get<std::string>()};
}

/// Only the three files have a place in it, so no name it could hold is ever followed.
void check_files(const fs::path& path) {
  const fs::path manifest = path / "manifest.json";
  const Json json = read_json(manifest);
  if (json.value("format", Json()) != format) {
    refuse(manifest,
           fmt::format("is of format {}; expected {}", json.value("format", Json()).dump(), format));
  }
  const Json files = json.value("files", Json());
  if (!files.is_object() || files.size() != members.size()) {
    refuse(manifest, fmt::format("expected {} files", members.size()));
  }
  for (const char* name : members) {
    const FileDigest expected = digest_in(manifest, files, name);
    std::error_code error;
    const std::uintmax_t bytes = fs::file_size(path / name, error);
    if (error) refuse(path / name, "cannot be read: " + error.message());
    if (bytes != expected.bytes) {
      refuse(path / name, fmt::format("has {} bytes; expected {}", bytes, expected.bytes));
    }
    if (digest_of(path / name) != expected)
      refuse(path / name, "is damaged: its checksum is not that of the manifest");
  }
}

/// The gradients in a name that CheckpointFolder::name gives.
std::optional<std::uint64_t> gradients_of(const std::string& name) {
  constexpr std::string_view first = "update-";
  constexpr std::string_view second = "-gradient-";
  const std::size_t at = name.find(second);
  if (!name.starts_with(first) || at == std::string::npos) return std::nullopt;
  if (!parse_number<std::uint64_t>(name.substr(first.size(), at - first.size()))) return std::nullopt;
  return parse_number<std::uint64_t>(name.substr(at + second.size()));
}

/// In place of another checkpoint of that name, if there is one, at no moment of which there is none.
void rename_over(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(from);
    return;
  }
  if (errno != ENOENT) fs::remove_all(to);  // a file system that cannot exchange
  fs::rename(from, to);
}

}  // namespace

void write_manifest(const fs::path& folder) {
  Json manifest = {{"format", format}};
  for (const char* name : members) {
    const FileDigest digest = digest_of(folder / name);
    manifest["files"][name] = {{"bytes", digest.bytes}, {"xxh3", digest.xxh3}};
  }
  write_durably(folder / "manifest.json", manifest.dump(2) + "\n");
}

void complete_checkpoint(const fs::path& unnamed, const fs::path& checkpoint, const Json& state) {
  write_durably(unnamed / "state.json", state.dump());
  write_manifest(unnamed);
  sync_folder(unnamed);
  rename_over(unnamed, checkpoint);
  sync_folder(checkpoint.parent_path());
}

Checkpoint Checkpoint::read(const fs::path& path) {
  if (!fs::is_directory(path)) refuse(path, "expected the folder of a checkpoint");
  check_files(path);
  return {path, read_json(path / "state.json")};
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
  fs::create_directories(path_, error);
  if (error) fail("cannot be created", error.value());
  lock_ = open((path_ / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) fail("cannot be written", errno);
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    close(lock_);
    throw std::invalid_argument(fmt::format(
        "--checkpoint-dir {}: is in use by another run; expected a folder of its own", path_.string()));
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
    const std::string name = entry.path().filename();
    const std::string stem = entry.path().stem();
    if (name.starts_with('.') && name.ends_with(".partial") && gradients_of(stem.substr(1))) {
      fs::remove_all(entry.path(), error);
    }
  }
}

CheckpointFolder::~CheckpointFolder() { close(lock_); }

std::string CheckpointFolder::name(std::uint64_t updates, std::uint64_t gradients) {
  return fmt::format("update-{}-gradient-{}", updates, gradients);
}

std::vector<fs::path> CheckpointFolder::list(const fs::path& path) {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    const auto gradients = gradients_of(entry.path().filename());
    if (gradients && entry.is_directory(error)) found.emplace_back(*gradients, entry.path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> checkpoints;
  for (auto& [gradients, checkpoint] : found) checkpoints.push_back(std::move(checkpoint));
  return checkpoints;
}

void CheckpointFolder::prune(std::size_t keep) const {
  const std::vector<fs::path> checkpoints = list(path_);
  for (std::size_t i = 0; i + keep < checkpoints.size(); ++i) {
    const fs::path leaving = unnamed(checkpoints[i].filename());
    std::error_code error;
    fs::rename(checkpoints[i], leaving, error);
    if (!error) fs::remove_all(leaving, error);
  }
}

}  // namespace tardigrad
