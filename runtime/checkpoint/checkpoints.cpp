#include "runtime/checkpoint/checkpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "runtime/base/json_text.h"
#include "runtime/device/profiler_range.h"

namespace tardigrad {
namespace {

constexpr std::chrono::seconds first_pause{10};
constexpr std::chrono::seconds longest_pause{300};

/// Vectors that one call has saved, as many as an update moves in about the same time.
constexpr std::size_t vectors_at_once = 3;

/// Of what is on its way to the disk: larger vectors go in pieces.
constexpr std::size_t most_buffer_bytes = std::size_t{64} << 20;

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

Checkpoints::Checkpoints(CheckpointOptions options, const ParameterLayout& layout, Device device,
                         SavedRun& run, RunObserver& observers)
    : options_(std::move(options)),
      layout_(layout),
      folder_(options_.folder),
      pool_(device, std::min(layout.dimension() * sizeof(float), most_buffer_bytes)),
      run_(run),
      observers_(observers),
      begun_at_(SteadyClock::now()) {}

void Checkpoints::note(const CheckpointRecord& record) {
  begun_ = record;
  begun_at_ = SteadyClock::now();
  whole_ = true;
}

bool Checkpoints::due(std::uint64_t updates) const {
  if (options_.request && options_.request->asked()) return true;
  if (!trouble_ && options_.every_updates && updates >= begun_.update + *options_.every_updates) return true;
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

void Checkpoints::save_if_due(std::uint64_t updates) {
  if (!in_progress()) {
    if (due(updates) && run_.at_rest()) begin();
    return;
  }
  hand_over_more();
  if (sealed_ && snapshot_->over()) finish();
}

void Checkpoints::save_the_end() {
  const auto wait = [this] {
    while (!sealed_) hand_over_more();
    finish();
  };
  if (in_progress()) wait();
  const CheckpointRecord now = run_.position();
  const bool there = whole_ && begun_.update == now.update && begun_.gradients == now.gradients;
  if (there) return;
  if (!run_.at_rest()) {
    const std::string text =
        fmt::format("no checkpoint of the end, which lies within a round; {}", last_good(options_.folder));
    return observers_.on_warning({Warning::Kind::checkpoint, now.update, now.time, text});
  }
  begin();
  wait();
}

/// It answers what was asked for by now.
void Checkpoints::begin() {
  const ProfilerRange range("checkpoint");
  run_.settle();
  const CheckpointRecord record = run_.position();
  note(record);
  whole_ = false;
  sealed_ = false;
  asked_ = options_.request && options_.request->asked();
  if (asked_) options_.request->answer();
  const auto state = std::make_shared<nlohmann::ordered_json>();
  const auto complete = [this, state, unnamed = folder_.unnamed(record.name),
                         named = folder_.path() / record.name] {
    complete_checkpoint(unnamed, named, *state);
    folder_.prune(options_.keep);
  };
  snapshot_ = std::make_unique<FileSnapshot>(folder_.unnamed(record.name), layout_, pool_, complete);
  *state = run_.save(*snapshot_);
  (*state)["run"] = parse_own_json<nlohmann::ordered_json>(options_.run_json);
  (*state)["taken_at"] = unix_time_s();
  snapshot_->start();
  observers_.on_checkpoint(record);
}

void Checkpoints::hand_over_more() {
  if (sealed_ || run_.save_more(vectors_at_once) == vectors_at_once) return;
  snapshot_->seal();
  sealed_ = true;
}

/// Waits for the one in progress, all of whose vectors are there, and tells what came of it.
void Checkpoints::finish() {
  snapshot_->wait();
  const std::optional<std::string> failure = snapshot_->failure();
  snapshot_.reset();
  if (const auto text = outcome(failure)) {
    const CheckpointRecord now = run_.position();
    observers_.on_warning({Warning::Kind::checkpoint, now.update, now.time, *text});
  }
  if (whole_) observers_.on_checkpoint_saved({begun_, folder_.path() / begun_.name, asked_});
}

/// What there is to say of the one that is over: nothing where it went well as before, or is in trouble as
/// before and nobody has asked for it.
std::optional<std::string> Checkpoints::outcome(const std::optional<std::string>& failure) {
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
