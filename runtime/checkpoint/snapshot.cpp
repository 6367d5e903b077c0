#include "runtime/checkpoint/snapshot.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

namespace tardigrad {

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

Snapshot::Snapshot(std::size_t dimension, StagingPool& pool, std::uint64_t announced_bytes)
    : pool_(pool),
      dimension_(dimension),
      tensors_(std::make_unique<SafetensorsContents::Json>(SafetensorsContents::Json::object())),
      announced_bytes_(announced_bytes) {}

Snapshot::~Snapshot() = default;

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

void Snapshot::save(std::span<const std::byte> bytes, Place place) {
  for (std::size_t begin = 0; begin < bytes.size(); begin += pool_.buffer_bytes()) {
    const auto piece = bytes.subspan(begin, std::min(pool_.buffer_bytes(), bytes.size() - begin));
    auto buffer = take_buffer();
    std::memcpy(buffer->data(), piece.data(), piece.size());
    submit({{place.model, place.position + begin}, piece.size(), std::move(buffer)});
  }
}

}  // namespace tardigrad
