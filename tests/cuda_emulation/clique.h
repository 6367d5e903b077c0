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

/// Computes an operation in the order of the ranks. Returns false if they came with different ones.
bool compute_together(const std::vector<Collective>& all);

/// The ranks of a communicator, who meet in each operation.
class Clique {
 public:
  Clique() = default;
  Clique(const Clique&) = delete;
  Clique& operator=(const Clique&) = delete;
  virtual ~Clique() = default;

  /// Returns how many ranks there are.
  virtual int size() const = 0;

  /// Returns the device of a rank that this process has.
  virtual int device(int rank) const = 0;

  /// To be called when a thread issues an operation for a rank outside of a group: false if it has issued the
  /// same operation for another rank before. NCCL may wait for the other ranks in the first call, so that the
  /// second never comes.
  virtual bool issue(int) { return true; }
  /// The same for a call in a group, which may be for any ranks.
  virtual void issue_in_group(int) {}

  /// On the stream of `rank`: waits until every rank has come to the operation, which is computed in the
  /// order of the ranks. Ranks that come with different operations get nothing but the error
  /// ncclInvalidUsage.
  virtual void meet(int rank, const Collective& collective) = 0;

  /// Lets `rank` leave the operation that it waits in, and come to no other one.
  virtual void abort(int rank) = 0;

  virtual ncclResult_t error() const = 0;
};

/// Holds ranks that are all of one process.
class CliqueOfDevices final : public Clique {
 public:
  explicit CliqueOfDevices(std::vector<int> devices);

  int size() const override { return static_cast<int>(devices_.size()); }
  int device(int rank) const override { return devices_[static_cast<std::size_t>(rank)]; }
  bool issue(int rank) override;
  void issue_in_group(int rank) override;
  /// The last rank that comes computes.
  void meet(int rank, const Collective& collective) override;
  void abort(int rank) override;
  ncclResult_t error() const override;

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
