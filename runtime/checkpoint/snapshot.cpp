#include "runtime/checkpoint/snapshot.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
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

StagingPool::StagingPool(Device device, std::size_t buffer_bytes)
    : device_(device), buffer_bytes_(buffer_bytes) {
  for (std::size_t i = 0; i < kept; ++i) free_.push_back(std::make_shared<Buffer>(device_, buffer_bytes_));
}

std::shared_ptr<StagingPool::Buffer> StagingPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      auto buffer = std::move(free_.back());
      free_.pop_back();
      return buffer;
    }
  }
  return std::make_shared<Buffer>(device_, buffer_bytes_);
}

void StagingPool::give_back(std::shared_ptr<Buffer> buffer) {
  const std::lock_guard lock(mutex_);
  if (free_.size() < kept) free_.push_back(std::move(buffer));
}

Snapshot::Snapshot(std::filesystem::path folder, const ParameterLayout& layout, StagingPool& pool,
                   std::function<void()> complete)
    : folder_(std::move(folder)),
      pool_(pool),
      complete_(std::move(complete)),
      dimension_(layout.dimension()),
      model_header_(safetensors_header(layout)),
      tensors_(std::make_unique<SafetensorsContents::Json>(SafetensorsContents::Json::object())) {}

Snapshot::~Snapshot() {
  writer_.request_stop();
  changed_.notify_all();
}

Snapshot::Place Snapshot::add(const std::string& name, ElementType type, std::optional<std::size_t> rows) {
  const auto [announced, is_new] =
      places_.try_emplace(name, Place{.model = false, .position = announced_bytes_});
  if (!is_new) return announced->second;
  std::vector<std::int64_t> shape;
  if (rows) shape.push_back(static_cast<std::int64_t>(*rows));
  shape.push_back(static_cast<std::int64_t>(dimension_));
  const std::uint64_t bytes = rows.value_or(1) * dimension_ * element_bytes(type);
  (*tensors_)[name] = safetensors_entry(dtype_of(type), shape, announced_bytes_, bytes);
  announced_bytes_ += bytes;
  return announced->second;
}

Snapshot::Place Snapshot::row(Place first, ElementType type, std::size_t row) const {
  return {.model = first.model, .position = first.position + row * dimension_ * element_bytes(type)};
}

void Snapshot::start() try {
  writer_ = start_thread("writing checkpoints", [this](const std::stop_token& stop) { run(stop); });
} catch (const ThreadError& error) {
  const std::lock_guard lock(mutex_);
  without_writer_ = true;
  failure_ = error.what();
  outstanding_ -= pieces_.size();
  for (Piece& piece : pieces_) pool_.give_back(std::move(piece.buffer));
  pieces_.clear();
}

void Snapshot::run(const std::stop_token& stop) {
  give_way_to_workers();
  std::optional<std::string> failure;
  try {
    write_files(stop);
  } catch (const std::exception& error) {
    failure = error.what();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    // Streams may still be at work for it.
    while (auto piece = next_piece(stop)) pool_.give_back(std::move(piece->buffer));
  }
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    failure_ = std::move(failure);
  }
  changed_.notify_all();
}

std::shared_ptr<StagingPool::Buffer> Snapshot::take_buffer() {
  auto buffer = pool_.take();
  const std::lock_guard lock(mutex_);
  ++outstanding_;
  return buffer;
}

void Snapshot::save(std::span<const float> vector, Place place) {
  const auto bytes = std::as_bytes(vector);
  for (std::size_t begin = 0; begin < bytes.size(); begin += pool_.buffer_bytes()) {
    const auto piece = bytes.subspan(begin, std::min(pool_.buffer_bytes(), bytes.size() - begin));
    auto buffer = take_buffer();
    std::memcpy(buffer->data(), piece.data(), piece.size());
    submit({{place.model, place.position + begin}, piece.size(), std::move(buffer)});
  }
}

/// Under the lock to its end: when the last piece is written this may be destroyed.
void Snapshot::submit(Piece piece) {
  const std::lock_guard lock(mutex_);
  if (without_writer_) {
    --outstanding_;
    pool_.give_back(std::move(piece.buffer));
  } else {
    pieces_.push_back(std::move(piece));
  }
  changed_.notify_all();
}

void Snapshot::seal() {
  {
    const std::lock_guard lock(mutex_);
    sealed_ = true;
  }
  changed_.notify_all();
}

/// Under the lock. Streams may be at work for it until they have handed everything over.
bool Snapshot::is_over() const { return over_ || (without_writer_ && sealed_ && outstanding_ == 0); }

bool Snapshot::over() const {
  const std::lock_guard lock(mutex_);
  return is_over();
}

void Snapshot::wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_over(); });
}

std::optional<std::string> Snapshot::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

/// Nothing when there will be none, or a stop is requested.
std::optional<Snapshot::Piece> Snapshot::next_piece(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop, [this] { return !pieces_.empty() || (sealed_ && outstanding_ == 0); });
  if (stop.stop_requested() || pieces_.empty()) return std::nullopt;
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  --outstanding_;
  return piece;
}

void Snapshot::write_files(const std::stop_token& stop) {
  std::filesystem::create_directory(folder_);
  const std::string state_header = safetensors_header(*tensors_);
  DurableFile model(folder_ / "model.safetensors");
  DurableFile state(folder_ / "state.safetensors");
  model.write(0, model_header_);
  state.write(0, state_header);
  while (auto piece = next_piece(stop)) {
    DurableFile& file = piece->place.model ? model : state;
    const std::size_t header_bytes = piece->place.model ? model_header_.size() : state_header.size();
    file.write(header_bytes + piece->place.position, {piece->buffer->data(), piece->bytes});
    pool_.give_back(std::move(piece->buffer));
  }
  if (stop.stop_requested()) throw std::runtime_error("given up, as the run has ended");
  model.sync();
  state.sync();
  complete_();
}

}  // namespace tardigrad
