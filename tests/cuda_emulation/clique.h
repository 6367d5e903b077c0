#pragma once

#include <nccl.h>

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace tardigrad::emulation {

enum class CollectiveKind { all_reduce, reduce, broadcast };

/// What one rank contributes to a collective operation.
struct Collective {
  CollectiveKind kind;
  const void* send;
  void* receive;
  std::size_t count;
  ncclDataType_t type;
  ncclRedOp_t operation = ncclSum;
  int root = 0;
};

/// The bytes of an element, 0 for a type that the emulation has not.
std::size_t bytes_of(ncclDataType_t type);

/// The ranks of a communicator, who meet in each operation.
class Clique {
 public:
  explicit Clique(std::vector<int> devices);

  int size() const { return static_cast<int>(devices_.size()); }
  int device(int rank) const { return devices_[static_cast<std::size_t>(rank)]; }

  /// To be called when a thread issues an operation for a rank outside of a group: false if it has issued the
  /// same operation for another rank before. NCCL may wait for the other ranks in the first call, so that the
  /// second never comes.
  bool issue(int rank);
  /// The same for a call in a group, which may be for any ranks.
  void issue_in_group(int rank);

  /// On the stream of `rank`: waits until every rank has come to the operation; the last one computes it, in
  /// the order of the ranks. Ranks that come with different operations get nothing but the error
  /// ncclInvalidUsage.
  void meet(int rank, const Collective& collective);

  /// Lets `rank` leave the operation that it waits in, and come to no other one.
  void abort(int rank);

  ncclResult_t error() const;

 private:
  struct Rank {
    std::uint64_t issued = 0;
    bool here = false;  // in the operation for which the ranks gather
    bool aborted = false;
    Collective collective{};
  };

  void count_issue(Rank& rank);
  bool all_here() const;
  void compute();

  const std::vector<int> devices_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Rank> ranks_;
  std::map<std::uint64_t, std::vector<std::thread::id>>
      issuers_;  // of operations that not all ranks have issued
  std::uint64_t met_ = 0;
  ncclResult_t error_ = ncclSuccess;
};

}  // namespace tardigrad::emulation
