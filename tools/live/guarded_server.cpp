#include "tools/live/guarded_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/base/start_thread.h"

namespace tardigrad {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Newer versions of the library ask whether there was room.
using Enqueued = decltype(std::declval<httplib::ThreadPool&>().enqueue({}));

/// Threads for connections, with an end to what waits for them: then no further connection is accepted. The
/// library's own pool ends the program where not all of its threads are to be had; this one does with fewer,
/// and without any serves one connection after another.
class BoundedPool final : public httplib::TaskQueue {
 public:
  explicit BoundedPool(std::size_t threads)
      : room_(static_cast<std::ptrdiff_t>(threads + GuardedServer::most_waiting)),
        threads_(start_helpers("connections to the live page", threads, [this](std::size_t) { work(); })) {}

  ~BoundedPool() override { BoundedPool::shutdown(); }

  Enqueued enqueue(std::function<void()> task) override {
    if (threads_.empty()) {
      task();
      return static_cast<Enqueued>(true);
    }
    room_.acquire();
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
    return static_cast<Enqueued>(true);
  }

  /// What waits is served first.
  void shutdown() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    threads_.clear();
  }

 private:
  void work() {
    while (true) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
      room_.release();
    }
  }

  std::counting_semaphore<> room_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool ending_ = false;
  std::vector<std::jthread> threads_;  // last: they use the members above
};

// NOLINTBEGIN(modernize-use-override): versions of the library differ in what of this is virtual.

/// A connection, from which one request is read.
class GuardedStream final : public httplib::Stream {
 public:
  GuardedStream(socket_t socket, const std::atomic<bool>& hurried)
      : socket_(socket), hurried_(hurried), read_until_(Clock::now() + GuardedServer::head_patience) {}

  bool is_readable() const { return ready(POLLIN, Clock::now()); }

  bool is_writable() const {
    return ready(POLLOUT, Clock::now() + GuardedServer::write_patience) && is_peer_alive();
  }

  ssize_t read(char* bytes, size_t size) {
    const std::size_t wanted = std::min(size, left_);
    if (wanted == 0 || !ready(POLLIN, read_until_)) return -1;
    const ssize_t count = recv(socket_, bytes, wanted, MSG_DONTWAIT);
    if (count > 0) left_ -= static_cast<std::size_t>(count);
    return count;
  }

  ssize_t write(const char* bytes, size_t size) {
    if (!ready(POLLOUT, Clock::now() + GuardedServer::write_patience)) return -1;
    return send(socket_, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  void get_remote_ip_and_port(std::string&, int&) const {}  // asked for by nobody
  void get_local_ip_and_port(std::string&, int&) const {}
  socket_t socket() const { return socket_; }

  bool is_peer_alive() const {
    char byte = 0;
    return recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
  }
  bool wait_readable() const { return ready(POLLIN, read_until_); }
  bool wait_writable() const { return is_writable(); }
  time_t duration() const { return 0; }

 private:
  /// In slices, so as to hear of hurry.
  bool ready(short what, Clock::time_point deadline) const {
    constexpr milliseconds slice{50};
    while (true) {
      const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
      pollfd wanted{.fd = socket_, .events = what, .revents = 0};
      const auto wait = std::clamp(left, milliseconds(0), hurried_ ? milliseconds(0) : slice);
      if (poll(&wanted, 1, static_cast<int>(wait.count())) > 0) return (wanted.revents & what) != 0;
      if (hurried_ || Clock::now() >= deadline) return false;
    }
  }

  socket_t socket_;
  const std::atomic<bool>& hurried_;
  Clock::time_point read_until_;
  std::size_t left_ = GuardedServer::most_head_bytes;
};
// NOLINTEND(modernize-use-override)

}  // namespace

GuardedServer::GuardedServer(std::size_t threads) {
  new_task_queue = [threads] { return new BoundedPool(threads); };
}

bool GuardedServer::process_and_close_socket(socket_t socket) {
  const auto serve_one_request = [this](auto& stream) {
    bool closed = false;
    if constexpr (requires { process_request(stream, true, closed, nullptr); }) {
      return process_request(stream, true, closed, nullptr);
    } else {  // newer versions of the library want the addresses of both ends
      return process_request(stream, "", 0, "", 0, true, closed, nullptr);
    }
  };
  GuardedStream stream(socket, hurried_);
  const bool served = serve_one_request(stream);
  ::shutdown(socket, SHUT_RDWR);
  close(socket);
  return served;
}

}  // namespace tardigrad
