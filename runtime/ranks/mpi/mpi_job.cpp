// The only source that knows MPI.

#include "runtime/ranks/mpi_job.h"

#include <mpi.h>
#if defined(OPEN_MPI)
#include <mpi-ext.h>
#endif

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

namespace tardigrad {

const bool built_with_mpi = true;

namespace {

/// Messages between the ranks of MPI_COMM_WORLD. What MPI cannot do ends the job, as MPI wants (its handler
/// of errors stays the one that is set).
///
/// One thread calls MPI, the one that made this: MPI_THREAD_FUNNELED. Whoever waits looks for messages over
/// and over, and MPI moves them within these looks; a second thread that did so beside the coordinator would
/// take a processor from the workers, and MPI_THREAD_MULTIPLE a lock for every call.
class MpiTransport final : public Transport {
 public:
  MpiTransport() {
    int provided = MPI_THREAD_SINGLE;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    if (provided < MPI_THREAD_FUNNELED) throw std::runtime_error("MPI does not let a program have threads");
    find_machines();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int first_on_machine_of(int rank) const override {
    return first_on_machine_[static_cast<std::size_t>(rank)];
  }

  /// Open MPI and MPICH say it each in a way of their own.
  bool takes_gpu_memory() const override {
#if defined(MPIX_CUDA_AWARE_SUPPORT)
    return MPIX_Query_cuda_support() == 1;
#elif defined(MPIX_GPU_SUPPORT_CUDA)
    int supported = 0;
    MPIX_GPU_query_support(MPIX_GPU_SUPPORT_CUDA, &supported);
    return supported != 0;
#else
    return false;
#endif
  }

  Transfer send(int to, int tag, const void* data, std::size_t bytes) override {
    return begin(bytes, [&](std::size_t offset, int count, MPI_Request* request) {
      MPI_Isend(static_cast<const char*>(data) + offset, count, MPI_BYTE, to, tag, MPI_COMM_WORLD, request);
    });
  }

  Transfer receive(int from, int tag, void* data, std::size_t bytes) override {
    const int source = from == any_rank ? MPI_ANY_SOURCE : from;
    return begin(bytes, [&](std::size_t offset, int count, MPI_Request* request) {
      MPI_Irecv(static_cast<char*>(data) + offset, count, MPI_BYTE, source, tag, MPI_COMM_WORLD, request);
    });
  }

  /// Not in place: Open MPI would then send whole vectors up and down a tree, and not parts around a ring.
  Transfer all_reduce(const float* values, float* sum, std::size_t count) override {
    return begin(count * sizeof(float), [&](std::size_t offset, int bytes, MPI_Request* request) {
      const std::size_t first = offset / sizeof(float);
      MPI_Iallreduce(values + first, sum + first, bytes / static_cast<int>(sizeof(float)), MPI_FLOAT, MPI_SUM,
                     MPI_COMM_WORLD, request);
    });
  }

  bool done(Transfer transfer) override {
    std::vector<MPI_Request>& parts = transfers_[transfer];
    int all = 0;
    if (parts.size() == 1) {
      MPI_Test(parts.data(), &all, MPI_STATUS_IGNORE);
    } else {
      MPI_Testall(static_cast<int>(parts.size()), parts.data(), &all, MPI_STATUSES_IGNORE);
    }
    if (all == 0) return false;
    parts.clear();
    unused_.push_back(transfer);
    return true;
  }

  void cancel(Transfer receive) override {
    for (MPI_Request& part : transfers_[receive]) {
      if (part == MPI_REQUEST_NULL) continue;
      MPI_Cancel(&part);
      MPI_Wait(&part, MPI_STATUS_IGNORE);
    }
    transfers_[receive].clear();
    unused_.push_back(receive);
  }

 private:
  /// Ranks of one machine are those that could share memory.
  void find_machines() {
    MPI_Comm machine = MPI_COMM_NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine);
    int first = rank_;
    MPI_Allreduce(&rank_, &first, 1, MPI_INT, MPI_MIN, machine);
    first_on_machine_.resize(static_cast<std::size_t>(size_));
    MPI_Allgather(&first, 1, MPI_INT, first_on_machine_.data(), 1, MPI_INT, MPI_COMM_WORLD);
    MPI_Comm_free(&machine);
  }

  /// MPI counts in int: what is longer goes in parts.
  template <typename Begin>
  Transfer begin(std::size_t bytes, const Begin& begin_part) {
    constexpr std::size_t most = std::size_t{1} << 30;
    static_assert(most <= std::numeric_limits<int>::max() && most % sizeof(float) == 0);
    if (unused_.empty()) {
      unused_.push_back(static_cast<Transfer>(transfers_.size()));
      transfers_.emplace_back();
    }
    const Transfer transfer = unused_.back();
    unused_.pop_back();
    std::vector<MPI_Request>& parts = transfers_[transfer];
    std::size_t offset = 0;
    do {
      const std::size_t part = std::min(most, bytes - offset);
      begin_part(offset, static_cast<int>(part), &parts.emplace_back(MPI_REQUEST_NULL));
      offset += part;
    } while (offset < bytes);
    return transfer;
  }

  int rank_ = 0;
  int size_ = 1;
  std::vector<int> first_on_machine_;                // of each rank
  std::vector<std::vector<MPI_Request>> transfers_;  // each of one part, or of some where it is long
  std::vector<Transfer> unused_;
};

std::unique_ptr<MpiTransport>& job_of_process() {
  static std::unique_ptr<MpiTransport> job;
  return job;
}

}  // namespace

Transport& mpi_job() {
  std::unique_ptr<MpiTransport>& job = job_of_process();
  if (!job) job = std::make_unique<MpiTransport>();
  return *job;
}

void leave_mpi_job() {
  if (!job_of_process()) return;
  job_of_process().reset();
  MPI_Finalize();
}

}  // namespace tardigrad
