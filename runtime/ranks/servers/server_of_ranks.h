#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/ranks/backoff.h"
#include "runtime/ranks/rank_mail.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/parameter_server.h"

namespace tardigrad {

/// Is a server of which rank 0 has but a part, so that gradients, or parts of them, stay on other ranks until
/// it says what becomes of them.
class ServerOfRanks : public ParameterServer {
 public:
  /// Is the gradient of an arrival, where it was computed.
  struct Arrived {
    int rank;
    int worker;
    std::uint64_t job;
  };

  /// Says whose gradient the next apply() is about.
  void take_arrival(const Arrived& arrived) { arrived_ = arrived; }

  /// Says that a gradient is not wanted.
  virtual void drop(const Arrived& arrived) = 0;

 protected:
  /// Both outlive it.
  ServerOfRanks(Transport& transport, RankMail& mail) : transport_(transport), mail_(mail) {}

  /// Blocks while a condition holds, and lets the mail come on meanwhile.
  template <typename Condition>
  void wait_while(Condition condition) {
    Backoff backoff;
    while (condition()) backoff.after(mail_.look());
  }

  /// Blocks until all of these are over, likewise.
  void wait_for(std::vector<Transport::Transfer> transfers) {
    wait_while([&] {
      transport_.take_out_done(transfers);
      return !transfers.empty();
    });
  }

  /// Returns that of the present apply(), once.
  std::optional<Arrived> arrived() { return std::exchange(arrived_, std::nullopt); }

  Transport& transport_;
  RankMail& mail_;

 private:
  std::optional<Arrived> arrived_;
};

}  // namespace tardigrad
