#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/device/event.h"
#include "runtime/ranks/rank_vector.h"

namespace tardigrad {

/// Tells whether a server is past an event, or never will be, since its GPU has failed: nobody looks at what
/// follows from that.
inline bool is_past(const Event& event) {
  try {
    return event.complete();
  } catch (const DeviceError&) {
    return true;
  }
}

/// Is memory from which a server reads a gradient, or its part of one: the rank's own, into which it is
/// received, or a shared vector, into which another rank writes it.
struct Landing {
  Landing(RankVector own, Device server)
      : memory(std::move(own)), values(memory->ref().data()), device(memory->ref().device()), taken(server) {}
  Landing(BufferRef<float> shared, Device server)
      : values(shared.data()), device(shared.device()), taken(server) {}

  bool is_shared() const { return !memory; }

  std::optional<RankVector> memory = {};
  float* values;        ///< the server may exchange it for a row where the memory is the rank's own
  Device device;        ///< whose memory it is
  Event taken;          ///< recorded by the server when it has read the gradient
  bool in_use = false;  ///< of a shared vector: from a job's order until it is given back
};

/// Owns the memory of gradients that a rank receives or computes for its server.
class Landings {
 public:
  /// `server` is the device that reads them, and `make_vector` makes the memory of one.
  Landings(Device server, std::function<RankVector()> make_vector)
      : server_(server), make_vector_(std::move(make_vector)) {}

  /// Makes memory for so many gradients beforehand, two more than there are at once.
  void make(std::size_t count) {
    while (all_.size() < count) unused_.push_back(&make_one());
  }

  /// Returns memory that the server has read, or else new memory: but for two that it still reads, they are
  /// all in use. Throws DeviceError where there is none to be had.
  Landing& take() {
    constexpr std::size_t being_read = 2;
    auto free = std::ranges::find_if(unused_, [](const Landing* one) { return is_past(one->taken); });
    if (free == unused_.end()) {
      if (unused_.size() < being_read) return make_one();
      free = unused_.begin();
      (*free)->taken.synchronize();
    }
    Landing& landing = **free;
    unused_.erase(free);
    return landing;
  }

  /// Takes back memory, which the server may still read.
  void give_back(Landing& landing) { unused_.push_back(&landing); }

 private:
  Landing& make_one() { return *all_.emplace_back(std::make_unique<Landing>(make_vector_(), server_)); }

  Device server_;
  std::function<RankVector()> make_vector_;
  std::vector<std::unique_ptr<Landing>> all_;
  std::vector<Landing*> unused_;
};

}  // namespace tardigrad
