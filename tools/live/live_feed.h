#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace tardigrad {

/// Makes the data of a live page as its listeners share it: anew at most once in a period, when one asks.
class LiveFeed {
 public:
  struct Message {
    std::uint64_t number = 0;  ///< goes up when the data changes
    std::string data;
    bool last = false;
  };

  LiveFeed(std::function<std::string(bool live)> data, std::chrono::milliseconds period, int max_listeners)
      : data_(std::move(data)), period_(period), max_listeners_(max_listeners) {}

  /// Returns a message that is at most a period old.
  std::shared_ptr<const Message> newest();

  /// Waits until the present message has had its time or the end has come, and returns the newest.
  std::shared_ptr<const Message> next();

  /// Returns a listener, which hears every message while it lives, or null where there are enough.
  std::shared_ptr<void> listen();

  /// Makes the last message, and waits for the listeners to be gone, for `patience` at most.
  void end(std::chrono::milliseconds patience);

  /// Tells whether listeners have had their time to hear the last message.
  bool over() const;

 private:
  using Clock = std::chrono::steady_clock;
  void renew_if_old();

  std::function<std::string(bool)> data_;
  std::chrono::milliseconds period_;
  int max_listeners_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const Message> message_;
  Clock::time_point renewed_at_;
  int listeners_ = 0;
  bool ended_ = false;
  bool over_ = false;
};

}  // namespace tardigrad
