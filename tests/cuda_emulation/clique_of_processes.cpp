// How ranks of several processes meet.
#include "tests/cuda_emulation/clique_of_processes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <thread>
#include <vector>

namespace tardigrad::emulation {
namespace {

constexpr std::size_t largest_vector = std::size_t{1} << 30;  // the file has holes

}  // namespace

std::string CliqueOfProcesses::make_file() {
  std::string path = (std::filesystem::temp_directory_path() / "emulated-nccl-XXXXXX").string();
  const int file = mkstemp(path.data());
  if (file < 0) return "";
  const bool sized = ftruncate(file, sizeof(Shared)) == 0;  // zeros: nobody is there
  close(file);
  return sized ? path : "";
}

CliqueOfProcesses::CliqueOfProcesses(const std::string& path, int rank_index, int ranks, int device)
    : rank_(rank_index), ranks_(ranks), device_(device), error_(join(path)) {}

ncclResult_t CliqueOfProcesses::join(const std::string& path) {
  file_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file_ < 0) return ncclSystemError;
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (memory == MAP_FAILED) return ncclSystemError;
  shared_ = static_cast<Shared*>(memory);
  rank(rank_).device = device_;
  rank(rank_).joined = true;
  if (!wait_for_all([](const Shared::Rank& one) { return one.joined.load(); })) return ncclSystemError;
  if (rank_ == 0) std::filesystem::remove(path);  // all have it
  std::set<int> devices;                          // NCCL wants one for each rank
  for (int other = 0; other < ranks_; ++other) devices.insert(rank(other).device);
  return devices.size() == static_cast<std::size_t>(ranks_) ? ncclSuccess : ncclInvalidUsage;
}

CliqueOfProcesses::~CliqueOfProcesses() {
  if (shared_) munmap(shared_, sizeof(Shared));
  if (file_ >= 0) close(file_);
}

/// Returns false where this rank was aborted, or another has not come in a minute, for which NCCL would wait
/// for ever.
template <typename Condition>
bool CliqueOfProcesses::wait_for_all(Condition condition) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::minutes(1);
  for (int other = 0; other < ranks_; ++other) {
    while (!condition(rank(other))) {
      if (aborted_ || Clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  return true;
}

void CliqueOfProcesses::meet(int, const Collective& collective) {
  const std::lock_guard lock(meeting_);
  if (error_ == ncclSuccess && !aborted_) error_ = carry_out(collective);
}

ncclResult_t CliqueOfProcesses::carry_out(const Collective& collective) {
  const bool sends = collective.kind != CollectiveKind::broadcast || rank_ == collective.root;
  if (sends && !write(collective)) return ncclSystemError;
  rank(rank_).collectives[met_ % operations_at_once] = collective;
  rank(rank_).came = met_ + 1;
  const auto has_come = [this](const Shared::Rank& one) { return one.came > met_; };
  if (!wait_for_all(has_come)) return ncclRemoteError;
  const bool agreed = compute(collective);
  ++met_;
  return agreed ? ncclSuccess : ncclInvalidUsage;
}

/// Returns where a rank brings its vector for the present operation. It may be written anew two operations
/// later: all have come to the one between by then, and so have read it.
std::size_t CliqueOfProcesses::place_of(int rank_index) const {
  const std::size_t number = met_ % operations_at_once * most_ranks + static_cast<std::size_t>(rank_index);
  return sizeof(Shared) + number * largest_vector;
}

bool CliqueOfProcesses::write(const Collective& collective) {
  const std::size_t bytes = collective.count * bytes_of(collective.type);
  return bytes <= largest_vector &&
         pwrite(file_, collective.send, bytes, static_cast<off_t>(place_of(rank_))) ==
             static_cast<ssize_t>(bytes);
}

bool CliqueOfProcesses::compute(const Collective& collective) {
  const std::size_t bytes = collective.count * bytes_of(collective.type);
  std::vector<std::vector<std::byte>> vectors(static_cast<std::size_t>(ranks_),
                                              std::vector<std::byte>(bytes));
  std::vector<Collective> all;
  for (int other = 0; other < ranks_; ++other) {
    std::vector<std::byte>& vector = vectors[static_cast<std::size_t>(other)];
    Collective one = rank(other).collectives[met_ % operations_at_once];
    const bool sends = one.kind != CollectiveKind::broadcast || other == one.root;
    if (sends) static_cast<void>(pread(file_, vector.data(), bytes, static_cast<off_t>(place_of(other))));
    one.send = vector.data();
    one.receive = other == rank_ ? collective.receive : vector.data();
    all.push_back(one);
  }
  return compute_together(all);
}

void CliqueOfProcesses::abort(int) { aborted_ = true; }

}  // namespace tardigrad::emulation
