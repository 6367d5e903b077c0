#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <cstddef>

namespace tardigrad {

/// Limits what the library's server would take: as many connections and as long requests as come, however
/// slowly. This one has so many connections at once, the rest wait in the kernel's short queue; and of each
/// it reads no more than a request's head may be long, for no longer than that may take.
class GuardedServer final : public httplib::Server {
 public:
  static constexpr std::size_t most_head_bytes = 32 << 10;
  static constexpr std::chrono::milliseconds head_patience{2000};
  static constexpr std::chrono::milliseconds write_patience{500};  ///< of one write
  static constexpr std::size_t most_waiting = 40;                  ///< connections, for a thread

  explicit GuardedServer(std::size_t threads);

  /// Waits for nobody from now on.
  void hurry() { hurried_ = true; }

 private:
  bool process_and_close_socket(socket_t socket) override;

  std::atomic<bool> hurried_ = false;
};

}  // namespace tardigrad
