// NCCL, for the GPUs of one process or of several: communicators, groups and the collective operations.
#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <utility>

#include "tests/cuda_emulation/clique.h"
#include "tests/cuda_emulation/clique_of_processes.h"
#include "tests/cuda_emulation/library_call.h"

using tardigrad::emulation::Clique;

struct ncclComm {
  std::shared_ptr<Clique> clique;
  int rank;

  int device() const { return clique->device(rank); }
};

namespace tardigrad::emulation {
namespace {

thread_local std::string last_nccl_failure;

ncclResult_t failure(ncclResult_t result, std::string why) {
  last_nccl_failure = std::move(why);
  return result;
}

/// The calls of a group wait for its end.
struct Group {
  int depth = 0;
  std::vector<std::function<ncclResult_t()>> calls;
};
thread_local Group group;

/// As NCCL does, which is called with any device as the current one.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) {
    static_cast<void>(cudaGetDevice(&previous_));
    static_cast<void>(cudaSetDevice(device));
  }
  ~CurrentDevice() { static_cast<void>(cudaSetDevice(previous_)); }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

 private:
  int previous_ = 0;
};

ncclResult_t enqueue_collective(const ncclComm& comm, const char* name, const Collective& collective,
                                cudaStream_t stream) {
  const CurrentDevice current(comm.device());
  const std::size_t bytes = collective.count * bytes_of(collective.type);
  const bool sends = collective.kind != CollectiveKind::broadcast || comm.rank == collective.root;
  const bool receives = collective.kind != CollectiveKind::reduce || comm.rank == collective.root;
  const cudaError_t status =
      enqueue_call(stream, name,
                   {{"sendbuff", collective.send, sends ? bytes : 0},
                    {"recvbuff", collective.receive, receives ? bytes : 0}},
                   [clique = comm.clique, rank = comm.rank, collective] { clique->meet(rank, collective); });
  if (status == cudaSuccess) return ncclSuccess;
  return failure(ncclUnhandledCudaError, std::string(name) + ": " + cudaGetErrorString(status));
}

ncclResult_t call(ncclComm_t comm, const char* name, const Collective& collective, cudaStream_t stream) {
  if (!comm) return failure(ncclInvalidArgument, std::string(name) + ": no communicator");
  const bool reduces = collective.kind != CollectiveKind::broadcast;
  if (bytes_of(collective.type) == 0 ||
      (reduces && (collective.operation < ncclSum || collective.operation > ncclAvg))) {
    return failure(ncclInvalidArgument, std::string(name) + ": emulated are float, double and bfloat16");
  }
  if (collective.root < 0 || collective.root >= comm->clique->size()) {
    return failure(ncclInvalidArgument, std::string(name) + ": root is no rank of the communicator");
  }
  if (collective.count == 0) return ncclSuccess;
  if (group.depth > 0) {
    group.calls.push_back([issuer = *comm, name, collective, stream] {
      issuer.clique->issue_in_group(issuer.rank);
      return enqueue_collective(issuer, name, collective, stream);
    });
    return ncclSuccess;
  }
  if (!comm->clique->issue(comm->rank)) {
    return failure(ncclInvalidUsage,
                   std::string(name) +
                       ": one thread calls for several ranks without ncclGroupStart(), where NCCL "
                       "may wait for ever");
  }
  return enqueue_collective(*comm, name, collective, stream);
}

ncclResult_t check_devices(const std::vector<int>& devices) {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return failure(ncclUnhandledCudaError, "no usable device");
  for (const int device : devices) {
    if (device < 0 || device >= count) return failure(ncclInvalidArgument, "no such device");
  }
  if (std::set(devices.begin(), devices.end()).size() != devices.size()) {
    return failure(ncclInvalidUsage, "duplicate GPU: two ranks on one device");
  }
  return ncclSuccess;
}

}  // namespace
}  // namespace tardigrad::emulation

using namespace tardigrad::emulation;

ncclResult_t ncclGetVersion(int* version) {
  if (!version) return failure(ncclInvalidArgument, "null pointer");
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "unknown result code";
  }
}

const char* ncclGetLastError(ncclComm_t) { return last_nccl_failure.c_str(); }

ncclResult_t ncclCommInitAll(ncclComm_t* comms, int count, const int* device_list) {
  if (!comms || count < 1) {
    return failure(ncclInvalidArgument, "ncclCommInitAll needs room for a communicator");
  }
  std::vector<int> devices(static_cast<std::size_t>(count));
  std::iota(devices.begin(), devices.end(), 0);
  if (device_list) std::copy_n(device_list, count, devices.begin());
  if (const ncclResult_t result = check_devices(devices); result != ncclSuccess) return result;
  const auto clique = std::make_shared<CliqueOfDevices>(devices);
  for (int i = 0; i < count; ++i) comms[i] = new ncclComm{clique, i};
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (!id) return failure(ncclInvalidArgument, "null pointer");
  const std::string path = CliqueOfProcesses::make_file();
  if (path.empty() || path.size() >= sizeof(*id)) {
    return failure(ncclSystemError, "no temporary file, in which the ranks could meet");
  }
  *id = {};
  std::memcpy(id->internal, path.data(), path.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  if (!comm || rank < 0 || rank >= ranks) return failure(ncclInvalidArgument, "no such rank");
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return failure(ncclUnhandledCudaError, "no usable device");
  const auto clique = std::make_shared<CliqueOfProcesses>(id.internal, rank, ranks, device);
  if (clique->error() == ncclInvalidUsage) {
    return failure(ncclInvalidUsage, "duplicate GPU: two ranks on one device");
  }
  if (clique->error() != ncclSuccess) return failure(clique->error(), "the ranks have not found each other");
  *comm = new ncclComm{clique, rank};
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  return comm ? ncclSuccess : failure(ncclInvalidArgument, "no communicator");
}

// What is enqueued keeps the clique.
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  if (comm) comm->clique->abort(comm->rank);
  return ncclCommDestroy(comm);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  if (!comm || !error) return failure(ncclInvalidArgument, "null pointer");
  *error = comm->clique->error();
  return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  if (!comm || !count) return failure(ncclInvalidArgument, "null pointer");
  *count = comm->clique->size();
  return ncclSuccess;
}

ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int* device) {
  if (!comm || !device) return failure(ncclInvalidArgument, "null pointer");
  *device = comm->device();
  return ncclSuccess;
}

ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  if (!comm || !rank) return failure(ncclInvalidArgument, "null pointer");
  *rank = comm->rank;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  ++group.depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (group.depth == 0) return failure(ncclInvalidUsage, "ncclGroupEnd: no ncclGroupStart before it");
  if (--group.depth > 0) return ncclSuccess;
  ncclResult_t result = ncclSuccess;
  for (const auto& issue : std::exchange(group.calls, {})) {
    if (result == ncclSuccess) result = issue();
  }
  return result;
}

ncclResult_t ncclAllReduce(const void* send, void* receive, size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t comm, cudaStream_t stream) {
  return call(comm, "ncclAllReduce", {CollectiveKind::all_reduce, send, receive, count, type, operation},
              stream);
}

ncclResult_t ncclReduce(const void* send, void* receive, size_t count, ncclDataType_t type,
                        ncclRedOp_t operation, int root, ncclComm_t comm, cudaStream_t stream) {
  return call(comm, "ncclReduce", {CollectiveKind::reduce, send, receive, count, type, operation, root},
              stream);
}

ncclResult_t ncclBroadcast(const void* send, void* receive, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return call(comm, "ncclBroadcast", {CollectiveKind::broadcast, send, receive, count, type, ncclSum, root},
              stream);
}
