#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "runtime/checkpoint/snapshot.h"

namespace tardigrad {

/// Takes the vectors of a run to two files of a folder, `model.safetensors` and `state.safetensors`.
///
/// Once all vectors are announced, start() is called, and seal() when each has been handed over. A thread of
/// its own writes; when everything is written it calls `complete` there, with the files on the disk. What
/// fails shows in failure() when it is over; the rest is then taken and thrown away, so that whoever hands
/// over need not know.
class FileSnapshot final : public Snapshot {
 public:
  /// Creates `folder`. `complete` may throw what then counts as the failure. The pool outlives the snapshot.
  FileSnapshot(std::filesystem::path folder, const ParameterLayout& layout, StagingPool& pool,
               std::function<void()> complete);
  FileSnapshot(const FileSnapshot&) = delete;
  FileSnapshot& operator=(const FileSnapshot&) = delete;
  /// Gives up what is not written yet. No stream may have work of the snapshot left.
  ~FileSnapshot() override;

  /// Starts the thread that writes. Where no thread is to be had that is the failure.
  void start();

  /// Says that nothing more will be handed over.
  void seal();

  /// Tells whether it has succeeded or failed.
  bool over() const;
  /// Blocks until it is over. It is called after seal(), and when the streams have done their copies.
  void wait() const;
  std::optional<std::string> failure() const;

 private:
  std::shared_ptr<StagingPool::Buffer> take_buffer() override;
  void submit(Piece piece) override;
  bool is_over() const;
  void run(const std::stop_token& stop);
  void write_files(const std::stop_token& stop);
  std::optional<Piece> next_piece(const std::stop_token& stop);

  std::filesystem::path folder_;
  std::function<void()> complete_;
  std::string model_header_;

  mutable std::mutex mutex_;  // for what follows
  mutable std::condition_variable_any changed_;
  std::deque<Piece> pieces_;
  std::uint64_t outstanding_ = 0;  // handed over, and not written yet
  bool sealed_ = false;
  bool over_ = false;
  bool without_writer_ = false;
  std::optional<std::string> failure_;
  std::jthread writer_;
};

}  // namespace tardigrad
