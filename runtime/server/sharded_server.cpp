#include "runtime/server/sharded_server.h"

#include <algorithm>
#include <utility>

#include "kernels/clip_scale.h"

namespace tardigrad {

ShardedServer::Part::Part(StreamRef stream, Shard elements, int workers, const ServerMemory& memory,
                          const ServerOptions& options)
    : shard(elements),
      server(stream, elements, workers, memory, options),
      summed(stream.device()),
      taken(stream.device()) {}

/// Views of gradient and replicas are the shard's own, and so are the events that it records.
Server::Fusion ShardedServer::Part::begin(double lr, std::span<Replica* const> replicas,
                                          const ArrivedGradient* gradient) {
  targets.clear();
  for (const Replica* const replica : replicas) {
    if (!replica) {
      targets.push_back(nullptr);
      continue;
    }
    const BufferRef<float> model = replica->model.subview(shard.begin, shard.size);
    if (targets.size() >= written.size()) written.resize(targets.size() + 1);
    std::unique_ptr<Replica>& part = written[targets.size()];
    if (!part) part = std::make_unique<Replica>(model, stream().device());
    part->model = model;
    targets.push_back(part.get());
  }
  if (!gradient) return {server, lr, targets, nullptr};
  const ArrivedGradient arrived{gradient->values.subview(shard.begin, shard.size), gradient->ready, nullptr,
                                &taken};
  return {server, lr, targets, &arrived};
}

ShardedServer::ShardedServer(StreamRef home, std::span<const StreamRef> streams, std::size_t dimension,
                             int workers, const ServerMemory& memory, const ServerOptions& options)
    : home_(home), clip_norm_(options.clip_norm), clipped_(home.device()) {
  const std::vector<Shard> shards = cut_into_shards(dimension, streams.size());
  for (std::size_t i = 0; i < shards.size(); ++i) {
    parts_.push_back(std::make_unique<Part>(streams[i], shards[i], workers, memory, options));
  }
  if (clip_norm_) {
    square_sums_.emplace(home_, SquareSums::chunks(dimension));
    clip_scale_.emplace(home_, 1);
  }
}

ShardedServer::~ShardedServer() {
  for (const auto& part : parts_) part->stream().drain();
}

void ShardedServer::set_model(std::span<const float> values) {
  for (const auto& part : parts_) part->server.set_model(values.subspan(part->shard.begin, part->shard.size));
}

/// The first shard enqueues an action when all have enqueued the one before.
void ShardedServer::apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
                          const ArrivedGradient* gradient) {
  std::vector<Server::Fusion> fusions;
  fusions.reserve(parts_.size());
  for (const auto& part : parts_) fusions.push_back(part->begin(lr, replicas, gradient));
  for (const Action& action : actions) {
    const bool steps = std::holds_alternative<Step>(action);
    if (steps && clip_norm_) clip(fusions);
    for (Server::Fusion& fusion : fusions) fusion.add(action);
    if (steps && parts_.front()->server.resum_is_due()) {
      note_drift();
      for (Server::Fusion& fusion : fusions) fusion.resum();
      drift_pending_ = true;
    }
  }
  for (Server::Fusion& fusion : fusions) fusion.finish();
  join(replicas, gradient);
}

/// Adds up the squares of all shards where they meet, in the order that one server has, and gives every shard
/// the scale. The next sums of a shard come behind that, and so the memory is free again.
void ShardedServer::clip(std::span<Server::Fusion> fusions) {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    fusions[i].sum_squares();
    parts_[i]->stream().record(parts_[i]->summed);
  }
  for (const auto& part : parts_) {
    home_.wait(part->summed);
    const BufferRef<const double> sums = part->server.square_sums();
    home_.copy(square_sums_->ref().subview(part->shard.begin / SquareSums::chunk, sums.size()), sums);
  }
  ClipScale clip;
  clip.count = square_sums_->size();
  clip.square_sums = square_sums_->ref().data();
  clip.max_norm = static_cast<float>(*clip_norm_);
  clip.scale = clip_scale_->ref().data();
  home_.enqueue(clip);
  home_.record(clipped_);
  for (const auto& part : parts_) {
    part->stream().wait(clipped_);
    part->stream().copy(part->server.clip_scale(), clip_scale_->ref());
  }
}

/// A replica is written, and a gradient taken, when the last shard has done it.
void ShardedServer::join(std::span<Replica* const> replicas, const ArrivedGradient* gradient) {
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    if (!replicas[i]) continue;
    for (const auto& part : parts_) home_.wait(part->written[i]->written);
    home_.record(replicas[i]->written);
  }
  if (!gradient || !gradient->taken) return;
  for (const auto& part : parts_) home_.wait(part->taken);
  home_.record(*gradient->taken);
}

void ShardedServer::read_model(std::span<float> values) {
  for (const auto& part : parts_) part->server.read_model(part->of(values));
}

void ShardedServer::note_drift() {
  if (!std::exchange(drift_pending_, false)) return;
  Drift drift;
  for (const auto& part : parts_) drift.add(part->server.drift_sums());
  largest_drift_ = drift.or_larger(largest_drift_);
}

std::optional<double> ShardedServer::largest_drift() {
  note_drift();
  return largest_drift_;
}

void ShardedServer::read_mean_and_rows(const VectorVisitor& mean, const VectorVisitor& row) {
  const Server& first = parts_.front()->server;
  if (!first.has_mean_of_rows()) return;
  std::vector<float> values(parts_.back()->shard.begin + parts_.back()->shard.size);
  for (const auto& part : parts_) part->server.read_mean(part->of(values));
  mean(values);
  for (const std::size_t i : first.rows_in_mean()) {
    for (const auto& part : parts_) part->server.read_row(i, part->of(values));
    row(values);
  }
}

void ShardedServer::begin_snapshot(Snapshot& snapshot) {
  for (const auto& part : parts_) part->server.begin_snapshot(snapshot);
}

/// Every shard has as many vectors left.
std::size_t ShardedServer::save_more(std::size_t vectors) {
  std::size_t saved = 0;
  for (const auto& part : parts_) saved = part->server.save_more(vectors);
  return saved;
}

void ShardedServer::save_replica(Snapshot& snapshot, const Replica& replica, Snapshot::Place place) {
  for (const auto& part : parts_) part->server.save_replica(snapshot, replica, place);
}

void ShardedServer::visit_state(StateArchive& state) {
  note_drift();
  state.real("largest_drift", largest_drift_);
  for (const auto& part : parts_) part->server.visit_tables(state);
}

void ShardedServer::restore(VectorSource& vectors, std::uint64_t version, Restored what) {
  for (const auto& part : parts_) part->server.restore(vectors, version, what);
}

}  // namespace tardigrad
