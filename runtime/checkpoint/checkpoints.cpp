#include "runtime/checkpoint/checkpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace tardigrad {
namespace {

constexpr std::chrono::seconds first_pause{10};
constexpr std::chrono::seconds longest_pause{300};

/// For people, and for tests of how much a kill can lose: no run depends on it.
double unix_time_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// A disk in trouble may not even be read.
std::string last_good(const std::filesystem::path& folder) try {
  const auto good = CheckpointFolder::list(folder);
  return good.empty() ? "there is none yet" : fmt::format("the last good one is {}", good.back().string());
} catch (const std::invalid_argument&) {
  return "those of before are left as they are";
}

}  // namespace

Checkpoints::Checkpoints(CheckpointOptions options, const ParameterLayout& layout, Device device)
    : options_(std::move(options)),
      layout_(layout),
      folder_(options_.folder),
      pool_(device, layout.dimension() * sizeof(float)),
      run_(nlohmann::ordered_json::parse(options_.run_json)),
      begun_at_(SteadyClock::now()) {}

void Checkpoints::note(const CheckpointRecord& record) {
  begun_ = record;
  begun_at_ = SteadyClock::now();
  whole_ = true;
}

bool Checkpoints::due(std::uint64_t update) const {
  if (options_.request && options_.request->asked()) return true;
  if (!trouble_ && options_.every_updates && update >= begun_.update + *options_.every_updates) return true;
  if (!trouble_ && !options_.every_s) return false;
  const std::chrono::duration<double> since = SteadyClock::now() - begun_at_;
  return trouble_ ? since >= pause_ : since.count() >= *options_.every_s;
}

/// None where the disk cannot even be read.
std::vector<std::filesystem::path> Checkpoints::newest_first() const try {
  auto checkpoints = CheckpointFolder::list(options_.folder);
  std::ranges::reverse(checkpoints);
  return checkpoints;
} catch (const std::invalid_argument&) {
  return {};
}

bool Checkpoints::has(std::uint64_t update, std::uint64_t gradients) const {
  return whole_ && begun_.update == update && begun_.gradients == gradients;
}

std::optional<SavedCheckpoint> Checkpoints::saved() const {
  if (in_progress() || !whole_) return std::nullopt;
  return SavedCheckpoint{begun_, folder_.path() / begun_.name, asked_};
}

Snapshot& Checkpoints::begin(const CheckpointRecord& record) {
  note(record);
  whole_ = false;
  asked_ = options_.request && options_.request->asked();
  if (asked_) options_.request->answer();
  state_ = std::make_shared<nlohmann::ordered_json>();
  const auto complete = [this, state = state_, unnamed = folder_.unnamed(record.name),
                         named = folder_.path() / record.name] {
    complete_checkpoint(unnamed, named, *state);
    folder_.prune(options_.keep);
  };
  snapshot_ = std::make_unique<Snapshot>(folder_.unnamed(record.name), layout_, pool_, complete);
  return *snapshot_;
}

void Checkpoints::start(nlohmann::ordered_json state) {
  *state_ = std::move(state);
  (*state_)["run"] = run_;
  (*state_)["taken_at"] = unix_time_s();
  snapshot_->start();
}

std::optional<std::string> Checkpoints::poll() { return snapshot_->over() ? finish() : std::nullopt; }

std::optional<std::string> Checkpoints::finish() {
  snapshot_->wait();
  const std::optional<std::string> failure = snapshot_->failure();
  snapshot_.reset();
  if (failure) return troubled(*failure);
  whole_ = true;
  if (!std::exchange(trouble_, false)) return std::nullopt;
  return fmt::format("checkpoints are written again: {}", options_.folder.string());
}

/// Said once, however often it is tried again, and to whoever asks.
std::optional<std::string> Checkpoints::troubled(const std::string& failure) {
  pause_ = trouble_ ? std::min(2 * pause_, longest_pause) : first_pause;
  if (std::exchange(trouble_, true) && !asked_) return std::nullopt;
  return fmt::format("no checkpoint: {}; it is tried again, and {}", failure, last_good(options_.folder));
}

}  // namespace tardigrad
