#include "runtime/ranks/job_places.h"

#include <cstdint>
#include <utility>

namespace tardigrad {
namespace {

/// As many vectors as workers have gradients and models at once, and one for the newest model.
std::optional<SharedVectors> share_vectors(const RunRanks& ranks, std::size_t dimension) {
  std::vector<int> sharing;
  for (int rank = 0; rank < ranks.transport->size(); ++rank) {
    if (ranks.shares_vectors(rank)) sharing.push_back(rank);
  }
  if (sharing.empty()) return std::nullopt;
  const std::size_t workers = ranks.layout.of_workers().size();
  return SharedVectors::offer(*ranks.transport, sharing, dimension, 2 * workers + 1);
}

}  // namespace

JobPlaces::JobPlaces(const RunRanks& ranks, std::size_t dimension, Device server)
    : shared_(share_vectors(ranks, dimension)),
      models_(static_cast<std::size_t>(ranks.transport->size())),
      landings_(ranks.layout.of_workers().size()) {
  for (std::size_t worker = 0; worker < landings_.size(); ++worker) {
    if (!shares_with(ranks.layout.of_workers()[worker])) continue;
    const BufferRef<float> vector = shared_->at(static_cast<std::uint32_t>(worker));
    landings_[worker] = std::make_unique<Landing>(vector, server);
  }
  const bool workers_copy = server.backend == Backend::cpu && ranks.copied_by().backend == Backend::cuda;
  if (!workers_copy) return;
  while (pinned_.size() <= landings_.size()) pinned_.emplace_back(ranks.copied_by(), dimension);
}

std::vector<BufferRef<float>> JobPlaces::memory_for_replicas() {
  std::vector<BufferRef<float>> memory;
  for (RankVector& vector : pinned_) memory.push_back(vector.ref());
  const std::size_t size = shared_ ? shared_->size() : 0;
  for (std::size_t i = landings_.size(); i < size; ++i) {
    memory.push_back(shared_->at(static_cast<std::uint32_t>(i)));
  }
  return memory;
}

void JobPlaces::place_model(int rank, const Replica& replica, bool kept_there, Flight& flight,
                            RankOrder& order) {
  const auto vector = shares_with(rank) ? shared_->index_of(replica.model.data()) : std::nullopt;
  if (vector) {
    order.model = RankOrder::Model::shared;
    order.slot = *vector;
    return;
  }
  const RankModels::Place place = models_[static_cast<std::size_t>(rank)].take(replica.version);
  order.slot = place.slot;
  flight.slot = place.slot;
  if (place.fresh) order.model = kept_there ? RankOrder::Model::own : RankOrder::Model::follows;
}

void JobPlaces::place_gradient(int worker, Flight& flight, RankOrder& order) {
  Landing* const landing = landings_[static_cast<std::size_t>(worker)].get();
  if (!landing || std::exchange(landing->in_use, true)) return;
  flight.target = landing;
  order.gradient = worker;
}

}  // namespace tardigrad
