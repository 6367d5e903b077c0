#include <nccl.h>

#include <bit>
#include <string>
#include <vector>

#include "runtime/device/backend.h"
#include "runtime/device/collectives.h"
#include "runtime/device/cuda/check.h"
#include "runtime/device/cuda/native_call.h"

namespace tardigrad::cuda {
namespace {

/// Throws DeviceError "cuda:1: <expression>: <NCCL's text>" unless the status is a success.
void check_nccl(ncclResult_t status, const char* expression, Device device,
                ncclComm_t communicator = nullptr) {
  if (status == ncclSuccess) return;
  const char* detail = ncclGetLastError(communicator);  // what NCCL says beyond the status
  throw DeviceError(device, device.name() + ": " + expression + ": " + ncclGetErrorString(status) +
                                (detail && *detail != '\0' ? " (" + std::string(detail) + ")" : ""));
}

/// Owns the communicators of GPUs of this process, a rank each, in the order of the devices.
class Communicators {
 public:
  explicit Communicators(const std::vector<Device>& devices) : devices_(devices), ranks_(devices.size()) {
    std::vector<int> indices;
    indices.reserve(devices.size());
    for (const Device device : devices) indices.push_back(device.index);
    check_nccl(ncclCommInitAll(ranks_.data(), static_cast<int>(indices.size()), indices.data()),
               "ncclCommInitAll", devices.front());
  }

  /// Makes that of one GPU, where the other ranks are those of other processes.
  Communicators(Device device, const CollectivesId& id, int rank, int ranks) : devices_{device}, ranks_(1) {
    const CurrentDevice current(device);
    check_nccl(ncclCommInitRank(ranks_.data(), ranks, std::bit_cast<ncclUniqueId>(id), rank),
               "ncclCommInitRank", device);
  }
  Communicators(const Communicators&) = delete;
  Communicators& operator=(const Communicators&) = delete;

  /// What failed is aborted: the others would wait for it for ever.
  ~Communicators() {
    if (failure() != ncclSuccess) abort();
    for (ncclComm_t rank : ranks_) static_cast<void>(ncclCommDestroy(rank));
  }

  void abort() {
    for (ncclComm_t rank : ranks_) static_cast<void>(ncclCommAbort(rank));
    ranks_.clear();
  }

  std::size_t size() const { return ranks_.size(); }
  Device device(std::size_t rank) const { return devices_[rank]; }
  ncclComm_t operator[](std::size_t rank) const { return ranks_[rank]; }

  void check_asynchronous() const {
    for (std::size_t rank = 0; rank < size(); ++rank) {
      check_nccl(asynchronous(rank), "ncclCommGetAsyncError", devices_[rank], ranks_[rank]);
    }
  }

 private:
  ncclResult_t asynchronous(std::size_t rank) const {
    ncclResult_t failure = ncclSuccess;
    const ncclResult_t status = ncclCommGetAsyncError(ranks_[rank], &failure);
    return status != ncclSuccess ? status : failure;
  }

  ncclResult_t failure() const {
    for (std::size_t rank = 0; rank < size(); ++rank) {
      if (const ncclResult_t status = asynchronous(rank); status != ncclSuccess) return status;
    }
    return ncclSuccess;
  }

  std::vector<Device> devices_;
  std::vector<ncclComm_t> ranks_;
};

/// Calls that NCCL is to see as one: of one thread, for all its GPUs.
class Group {
 public:
  explicit Group(Device device) : device_(device) { check_nccl(ncclGroupStart(), "ncclGroupStart", device_); }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() {
    if (open_) static_cast<void>(ncclGroupEnd());
  }

  /// Enqueues them.
  void end() {
    open_ = false;
    check_nccl(ncclGroupEnd(), "ncclGroupEnd", device_);
  }

 private:
  Device device_;
  bool open_ = true;
};

struct AllReduce {
  static constexpr const char* name = "all_reduce";
};

struct Broadcast {
  static constexpr const char* name = "broadcast";
};

class NcclCollectives final : public Collectives {
 public:
  explicit NcclCollectives(std::span<const StreamRef> streams)
      : streams_(streams.begin(), streams.end()), communicators_(devices_of(streams)) {}

  NcclCollectives(StreamRef stream, const CollectivesId& id, int rank, int ranks)
      : streams_{stream}, communicators_(stream.device(), id, rank, ranks) {}

  void all_reduce(std::span<const BufferRef<float>> vectors) override {
    enqueue<AllReduce>(vectors, "ncclAllReduce",
                       [](float* vector, std::size_t size, ncclComm_t rank, CudaStream stream) {
                         return ncclAllReduce(vector, vector, size, ncclFloat, ncclSum, rank, stream);
                       });
  }

  void broadcast(std::span<const BufferRef<float>> vectors) override {
    enqueue<Broadcast>(vectors, "ncclBroadcast",
                       [](float* vector, std::size_t size, ncclComm_t rank, CudaStream stream) {
                         return ncclBroadcast(vector, vector, size, ncclFloat, 0, rank, stream);
                       });
  }

  void check() const override { communicators_.check_asynchronous(); }
  void abort() override { communicators_.abort(); }

 private:
  static std::vector<Device> devices_of(std::span<const StreamRef> streams) {
    std::vector<Device> devices;
    devices.reserve(streams.size());
    for (const StreamRef stream : streams) devices.push_back(stream.device());
    return devices;
  }

  /// Calls `function` for every rank, as one group.
  template <typename Name, typename Function>
  void enqueue(std::span<const BufferRef<float>> vectors, const char* expression, Function function) {
    Group group(communicators_.device(0));
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      call_native<Name>(streams_[i], [&](CudaStream stream) {
        const ncclComm_t rank = communicators_[i];
        check_nccl(function(vectors[i].data(), vectors[i].size(), rank, stream), expression,
                   communicators_.device(i), rank);
      });
    }
    group.end();
  }

  std::vector<StreamRef> streams_;
  Communicators communicators_;
};

}  // namespace

std::unique_ptr<Collectives> make_collectives(std::span<const StreamRef> streams) {
  return std::make_unique<NcclCollectives>(streams);
}

CollectivesId make_collectives_id(Device device) {
  ncclUniqueId id;
  check_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId", device);
  return std::bit_cast<CollectivesId>(id);
}

std::unique_ptr<Collectives> join_collectives(StreamRef stream, const CollectivesId& id, int rank,
                                              int ranks) {
  return std::make_unique<NcclCollectives>(stream, id, rank, ranks);
}

}  // namespace tardigrad::cuda
