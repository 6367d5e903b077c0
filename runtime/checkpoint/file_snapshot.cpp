#include "runtime/checkpoint/file_snapshot.h"

#include <sys/resource.h>
#include <unistd.h>

#include <exception>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "runtime/base/start_thread.h"
#include "runtime/checkpoint/durable_file.h"

namespace tardigrad {
namespace {

/// Writing can wait, and on a CPU workers need its time. On Linux priorities are those of threads.
void give_way_to_workers() {
  constexpr int lowest = 19;
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), lowest);
}

}  // namespace

FileSnapshot::FileSnapshot(std::filesystem::path folder, const ParameterLayout& layout, StagingPool& pool,
                           std::function<void()> complete)
    : Snapshot(layout.dimension(), pool),
      folder_(std::move(folder)),
      complete_(std::move(complete)),
      model_header_(safetensors_header(layout)) {}

FileSnapshot::~FileSnapshot() {
  writer_.request_stop();
  changed_.notify_all();
}

void FileSnapshot::start() try {
  writer_ = start_thread("writing checkpoints", [this](const std::stop_token& stop) { run(stop); });
} catch (const ThreadError& error) {
  const std::lock_guard lock(mutex_);
  without_writer_ = true;
  failure_ = error.what();
  outstanding_ -= pieces_.size();
  for (Piece& piece : pieces_) pool().give_back(std::move(piece.buffer));
  pieces_.clear();
}

void FileSnapshot::run(const std::stop_token& stop) {
  give_way_to_workers();
  std::optional<std::string> failure;
  try {
    write_files(stop);
  } catch (const std::exception& error) {
    failure = error.what();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    // Streams may still be at work for it.
    while (auto piece = next_piece(stop)) pool().give_back(std::move(piece->buffer));
  }
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    failure_ = std::move(failure);
  }
  changed_.notify_all();
}

std::shared_ptr<StagingPool::Buffer> FileSnapshot::take_buffer() {
  auto buffer = pool().take();
  const std::lock_guard lock(mutex_);
  ++outstanding_;
  return buffer;
}

/// Under the lock to its end: when the last piece is written this may be destroyed.
void FileSnapshot::submit(Piece piece) {
  const std::lock_guard lock(mutex_);
  if (without_writer_) {
    --outstanding_;
    pool().give_back(std::move(piece.buffer));
  } else {
    pieces_.push_back(std::move(piece));
  }
  changed_.notify_all();
}

void FileSnapshot::seal() {
  {
    const std::lock_guard lock(mutex_);
    sealed_ = true;
  }
  changed_.notify_all();
}

/// Under the lock. Streams may be at work for it until they have handed everything over.
bool FileSnapshot::is_over() const { return over_ || (without_writer_ && sealed_ && outstanding_ == 0); }

bool FileSnapshot::over() const {
  const std::lock_guard lock(mutex_);
  return is_over();
}

void FileSnapshot::wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_over(); });
}

std::optional<std::string> FileSnapshot::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

/// Nothing when there will be none, or a stop is requested.
std::optional<Snapshot::Piece> FileSnapshot::next_piece(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop, [this] { return !pieces_.empty() || (sealed_ && outstanding_ == 0); });
  if (stop.stop_requested() || pieces_.empty()) return std::nullopt;
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  --outstanding_;
  return piece;
}

void FileSnapshot::write_files(const std::stop_token& stop) {
  std::filesystem::create_directory(folder_);
  const std::string state_header = safetensors_header(announced());
  DurableFile model(folder_ / "model.safetensors");
  DurableFile state(folder_ / "state.safetensors");
  model.write(0, model_header_);
  state.write(0, state_header);
  while (auto piece = next_piece(stop)) {
    DurableFile& file = piece->place.model ? model : state;
    const std::size_t header_bytes = piece->place.model ? model_header_.size() : state_header.size();
    file.write(header_bytes + piece->place.position, {piece->buffer->data(), piece->bytes});
    pool().give_back(std::move(piece->buffer));
  }
  if (stop.stop_requested()) throw std::runtime_error("given up, as the run has ended");
  model.sync();
  state.sync();
  complete_();
}

}  // namespace tardigrad
