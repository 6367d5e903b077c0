#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "runtime/checkpoint/snapshot.h"
#include "runtime/server/parameter_server.h"
#include "runtime/server/replica.h"

namespace tardigrad {

/// Saves the models of jobs in flight, each version once: some at a time, or when its replica may be written
/// anew.
class ReplicaSnapshot {
 public:
  /// Adds a replica. It is called before begin().
  void add(Replica& replica) {
    if (versions_.insert(replica.version).second) waiting_.push_back(&replica);
  }

  /// Announces the replicas, and returns their versions in the order of the rows.
  std::vector<std::uint64_t> begin(Snapshot& snapshot) {
    snapshot_ = &snapshot;
    versions_.clear();
    std::vector<std::uint64_t> rows;
    if (waiting_.empty()) return rows;
    const Snapshot::Place first = snapshot.add(replicas_in_snapshots, ElementType::f32, waiting_.size());
    for (Replica* const replica : waiting_) {
      replica->unsaved = snapshot.row(first, ElementType::f32, rows.size());
      rows.push_back(replica->version);
    }
    return rows;
  }

  /// Has the server that writes it save a replica, if it is not saved yet. Returns whether it did.
  bool save(Replica& replica, ParameterServer& server) {
    if (!replica.unsaved) return false;
    server.save_replica(*snapshot_, replica, *std::exchange(replica.unsaved, std::nullopt));
    return true;
  }

  /// Saves up to `count` more replicas, and returns how many it did.
  std::size_t save_more(std::size_t count, ParameterServer& server) {
    std::size_t saved = 0;
    while (saved < count && !waiting_.empty()) {
      if (save(*waiting_.back(), server)) ++saved;
      waiting_.pop_back();
    }
    return saved;
  }

 private:
  Snapshot* snapshot_ = nullptr;
  std::vector<Replica*> waiting_;
  std::set<std::uint64_t> versions_;
};

}  // namespace tardigrad
