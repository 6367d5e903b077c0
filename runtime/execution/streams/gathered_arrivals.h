#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "runtime/execution/orders.h"
#include "runtime/server/parameter_server.h"

namespace tardigrad {

/// Keeps arrivals that the server has not been told of, so that it is told of several at once.
class GatheredArrivals {
 public:
  std::size_t size() const { return size_; }

  /// Adds an arrival, with what `orders` have for the server. `targets` says where the models of its
  /// hand-overs go, as ParameterServer::apply() takes them. It is exchanged for memory that is used again.
  void add(Orders& orders, double lr, const ArrivedGradient& gradient, std::vector<Replica*>& targets) {
    if (size_ == arrivals_.size()) arrivals_.emplace_back();
    Arrival& arrival = arrivals_[size_++];
    orders.take_for_server(arrival.actions);
    arrival.lr = lr;
    arrival.gradient = gradient;
    arrival.targets.swap(targets);
    version_ = orders.version();
  }

  /// Forgets all but so many of them.
  void keep_first(std::size_t count) { size_ = std::min(size_, count); }

  /// Tells whether a hand-over of one of them writes that replica.
  bool writes(const Replica& replica) const {
    return std::ranges::any_of(std::span(arrivals_).first(size_), [&](const Arrival& arrival) {
      return std::ranges::find(arrival.targets, &replica) != arrival.targets.end();
    });
  }

  /// Returns the version of the model behind all of them.
  std::uint64_t version() const { return version_; }

  /// Returns all of them, as a server takes them, until the next is added, and gathers anew.
  std::span<const ArrivalActions> take() {
    taken_.clear();
    for (Arrival& arrival : std::span(arrivals_).first(std::exchange(size_, 0))) {
      taken_.push_back({arrival.actions, arrival.lr, arrival.targets, &*arrival.gradient});
    }
    return taken_;
  }

 private:
  struct Arrival {
    Actions actions = {};
    double lr = 0;
    std::vector<Replica*> targets = {};
    std::optional<ArrivedGradient> gradient = {};
  };

  std::vector<Arrival> arrivals_;  // whose memory is used again
  std::size_t size_ = 0;
  std::uint64_t version_ = 0;
  std::vector<ArrivalActions> taken_;
};

}  // namespace tardigrad
