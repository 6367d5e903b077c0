#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/ranks/flights.h"
#include "runtime/ranks/messages.h"
#include "runtime/ranks/rank_mail.h"
#include "runtime/ranks/rank_models.h"
#include "runtime/ranks/rank_vector.h"
#include "runtime/ranks/run_ranks.h"
#include "runtime/ranks/shared_vectors.h"
#include "runtime/server/replica.h"

namespace tardigrad {

/// Knows, on rank 0, where jobs on other ranks have their models, and where their gradients go: to messages,
/// or in memory that ranks of this machine have in common with rank 0. There each worker has a vector for its
/// gradient, which the server reads in its place, and there are replicas, which the ranks read in theirs.
class JobPlaces {
 public:
  /// Makes that memory where there are such ranks, which map it meanwhile. Vectors are of that size; `server`
  /// is the device that reads gradients.
  JobPlaces(const RunRanks& ranks, std::size_t dimension, Device server);

  /// Returns memory for replicas, one more than there are workers, which the ranks of this machine read, or
  /// which is pinned for GPUs of this rank's workers; none where there is no need.
  std::vector<BufferRef<float>> memory_for_replicas();

  /// Says, in a job's order, where its rank has its model from. `kept_there`: the rank keeps that itself.
  void place_model(int rank, const Replica& replica, bool kept_there, Flight& flight, RankOrder& order);

  /// Says, in a job's order, where its gradient goes: to its worker's vector, if it has one, and no job that
  /// nobody waits for any more may still write to that.
  void place_gradient(int worker, Flight& flight, RankOrder& order);

  /// Takes note that a rank has answered a job, and has its model no more.
  void release_model(int rank, const Flight& flight) {
    if (flight.slot) models_[static_cast<std::size_t>(rank)].release(*flight.slot);
  }

 private:
  bool shares_with(int rank) const { return shared_ && shared_->are_on(rank); }

  std::optional<SharedVectors> shared_;  // a gradient of each worker, and behind these the replicas
  std::vector<RankVector> pinned_;       // the replicas, where GPUs of this rank's workers copy them
  std::vector<RankModels> models_;       // of each rank that has its own
  // Of each worker; null: its rank has no memory in common with this.
  std::vector<std::unique_ptr<Landing>> landings_;
};

}  // namespace tardigrad
