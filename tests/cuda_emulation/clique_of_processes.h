#pragma once

#include <nccl.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "tests/cuda_emulation/clique.h"

namespace tardigrad::emulation {

/// Has a rank in each of several processes of this machine, or in several threads of one. They meet over a
/// file, which holds what each of them brings to an operation: every rank computes the whole of it for
/// itself.
class CliqueOfProcesses final : public Clique {
 public:
  /// Makes the file, and returns its path, by which the ranks find each other; empty if it cannot be made.
  static std::string make_file();

  /// Waits until all ranks are there: see error().
  CliqueOfProcesses(const std::string& path, int rank, int ranks, int device);
  ~CliqueOfProcesses() override;

  int size() const override { return ranks_; }
  int device(int) const override { return device_; }
  void meet(int rank, const Collective& collective) override;
  void abort(int rank) override;

  /// Returns, right behind the constructor, whether the ranks have found each other, each on a device of its
  /// own.
  ncclResult_t error() const override { return error_; }

 private:
  static constexpr std::size_t most_ranks = 64;
  static constexpr std::size_t operations_at_once = 2;  // one that slow ranks still read, and the next

  /// Is the start of the file.
  struct Shared {
    struct Rank {
      std::atomic<bool> joined;
      std::atomic<std::uint64_t> came;  // to so many operations
      int device;
      std::array<Collective, operations_at_once> collectives;
    };
    std::array<Rank, most_ranks> ranks;
  };

  ncclResult_t join(const std::string& path);
  Shared::Rank& rank(int index) { return shared_->ranks[static_cast<std::size_t>(index)]; }
  template <typename Condition>
  bool wait_for_all(Condition condition);
  ncclResult_t carry_out(const Collective& collective);
  bool write(const Collective& collective);
  bool compute(const Collective& collective);
  std::size_t place_of(int rank) const;

  int rank_;
  int ranks_;
  int device_;
  int file_ = -1;
  Shared* shared_ = nullptr;
  std::mutex meeting_;     // of several streams of this rank
  std::uint64_t met_ = 0;  // operations
  std::atomic<bool> aborted_ = false;
  std::atomic<ncclResult_t> error_ = ncclSuccess;
};

}  // namespace tardigrad::emulation
