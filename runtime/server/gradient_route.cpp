#include "runtime/server/gradient_route.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "runtime/server/server.h"

namespace tardigrad {
namespace {

/// From here on the links are busy all the time, and a longer vector changes no ratio.
constexpr std::size_t longest_measured = std::size_t{1} << 22;
constexpr int measured_rounds = 9;

/// A server that works by one route, and the time of an arrival.
class Rival {
 public:
  Rival(StreamRef stream, std::size_t dimension, Device workers, GradientRoute route)
      : server_(stream, dimension, 1, {.tables = 0, .mean = true},
                {.routes = {{{stream.device(), workers}, route}}}),
        start_(stream.device()),
        end_(stream.device()) {
    server_.set_model(std::vector<float>(dimension));
  }

  double seconds(const ArrivedGradient& gradient, Replica& replica) {
    const std::array<Replica*, 1> replicas = {&replica};
    const StreamRef stream = server_.stream();
    stream.record(start_);
    server_.apply({Accumulate{}, Step{}, HandOver{0}}, 0, replicas, &gradient);
    stream.record(end_);
    stream.synchronize();
    return seconds_between(start_, end_);
  }

 private:
  Server server_;
  TimedEvent start_;
  TimedEvent end_;
};

double median(std::vector<double> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

GradientRoute measured_route(Device server, Device workers, std::size_t dimension) {
  static std::mutex mutex;
  static std::map<std::tuple<Device, Device, std::size_t>, GradientRoute> known;
  const std::lock_guard lock(mutex);
  const auto [entry, is_new] = known.try_emplace({server, workers, dimension}, GradientRoute::copy);
  if (is_new) entry->second = faster_route(server, workers, dimension);
  return entry->second;
}

}  // namespace

std::string name_of(GradientRoute route) { return route == GradientRoute::peer ? "peer" : "copy"; }

GradientRoute faster_route(Device server, Device workers, std::size_t dimension) {
  if (!peer_access(server, workers)) return GradientRoute::copy;
  const std::size_t measured = std::min(dimension, longest_measured);
  const Stream memory(workers, "route");
  Buffer<float> gradient(memory, measured);
  Buffer<float> model(memory, measured);
  memory.ref().zero(gradient.ref());
  memory.ref().synchronize();
  Replica replica(model.ref(), server);
  const ArrivedGradient arrived{gradient.ref()};
  const Stream stream(server, "route", Priority::high);
  Rival peer(stream, measured, workers, GradientRoute::peer);
  Rival copy(stream, measured, workers, GradientRoute::copy);
  std::vector<double> peer_s;
  std::vector<double> copy_s;
  for (int round = -2; round < measured_rounds; ++round) {
    const double by_peer = peer.seconds(arrived, replica);
    const double by_copy = copy.seconds(arrived, replica);
    if (round < 0) continue;  // warming up: first launches load code
    peer_s.push_back(by_peer);
    copy_s.push_back(by_copy);
  }
  return median(peer_s) <= median(copy_s) ? GradientRoute::peer : GradientRoute::copy;
}

GradientRoutes choose_routes(const Devices& devices, std::size_t dimension,
                             std::optional<GradientRoute> forced) {
  GradientRoutes routes;
  if (devices.replicated) return routes;
  for (const Device server : devices.of_server()) {
    for (const Device workers : devices.workers) {
      if (workers.backend == Backend::cpu || workers == server) continue;
      if (forced == GradientRoute::peer && !peer_access(server, workers)) {
        throw std::invalid_argument(fmt::format("--gradient-route peer: {} has no access to the memory of {}",
                                                server.name(), workers.name()));
      }
      routes[{server, workers}] =
          forced ? *forced : measured_route(server, workers, dimension / devices.server_shards);
    }
  }
  return routes;
}

}  // namespace tardigrad
