#include "tools/live/live_feed.h"

namespace tardigrad {

std::shared_ptr<const LiveFeed::Message> LiveFeed::newest() {
  const std::scoped_lock lock(mutex_);
  renew_if_old();
  return message_;
}

std::shared_ptr<const LiveFeed::Message> LiveFeed::next() {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, renewed_at_ + period_, [this] { return ended_; });
  renew_if_old();
  return message_;
}

/// With the lock.
void LiveFeed::renew_if_old() {
  const auto now = Clock::now();
  if (ended_ || (message_ && now < renewed_at_ + period_)) return;
  std::string data = data_(true);
  renewed_at_ = now;
  if (message_ && message_->data == data) return;
  message_ =
      std::make_shared<const Message>(Message{message_ ? message_->number + 1 : 1, std::move(data), false});
}

std::shared_ptr<void> LiveFeed::listen() {
  const std::scoped_lock lock(mutex_);
  if (listeners_ == max_listeners_) return nullptr;
  ++listeners_;
  return std::shared_ptr<void>(this, [](LiveFeed* feed) {
    const std::scoped_lock leaving(feed->mutex_);
    --feed->listeners_;
    feed->changed_.notify_all();
  });
}

void LiveFeed::end(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  ended_ = true;
  message_ =
      std::make_shared<const Message>(Message{message_ ? message_->number + 1 : 1, data_(false), true});
  changed_.notify_all();
  changed_.wait_for(lock, patience, [this] { return listeners_ == 0; });
  over_ = true;
}

bool LiveFeed::over() const {
  const std::scoped_lock lock(mutex_);
  return over_;
}

}  // namespace tardigrad
