// How the ranks of a communicator meet, and what they compute.
#include "tests/cuda_emulation/clique.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tests/cuda_emulation/number_formats.h"

namespace tardigrad::emulation {
namespace {

float widened(float value) { return value; }
double widened(double value) { return value; }
float widened(Bf16 value) { return widen(value); }

void assign(float& target, float value) { target = value; }
void assign(double& target, double value) { target = value; }
void assign(Bf16& target, float value) { target = narrow(round_to_bf16(value)); }

/// Each sum is rounded to Number, as on its way from GPU to GPU.
template <typename Number>
class Reduction {
 public:
  Reduction(const std::vector<Collective>& all) : all_(all), operation_(all[0].operation) {}

  Number at(std::size_t i) const {
    Number result = contribution(0, i);
    for (std::size_t rank = 1; rank < all_.size(); ++rank) {
      assign(result, combine(widened(result), widened(contribution(rank, i))));
    }
    return result;
  }

 private:
  using Wide = decltype(widened(Number{}));

  Number contribution(std::size_t rank, std::size_t i) const {
    Number value = static_cast<const Number*>(all_[rank].send)[i];
    // NCCL's average is the sum of what was divided before.
    if (operation_ == ncclAvg) assign(value, widened(value) * (Wide{1} / static_cast<Wide>(all_.size())));
    return value;
  }

  Wide combine(Wide a, Wide b) const {
    switch (operation_) {
      case ncclProd:
        return a * b;
      case ncclMax:
        return std::max(a, b);
      case ncclMin:
        return std::min(a, b);
      default:
        return a + b;
    }
  }

  const std::vector<Collective>& all_;
  ncclRedOp_t operation_;
};

template <typename Number>
void reduce(const std::vector<Collective>& all) {
  const Collective& first = all[0];
  const Reduction<Number> reduction(all);
  for (std::size_t i = 0; i < first.count; ++i) {
    const Number result = reduction.at(i);
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      const bool receives = first.kind == CollectiveKind::all_reduce || static_cast<int>(rank) == first.root;
      if (receives) static_cast<Number*>(all[rank].receive)[i] = result;
    }
  }
}

void broadcast(const std::vector<Collective>& all) {
  const Collective& first = all[0];
  const void* source = all[static_cast<std::size_t>(first.root)].send;
  for (const Collective& one : all) std::memmove(one.receive, source, first.count * bytes_of(first.type));
}

void compute(const std::vector<Collective>& all) {
  if (all[0].kind == CollectiveKind::broadcast) return broadcast(all);
  switch (all[0].type) {
    case ncclFloat32:
      return reduce<float>(all);
    case ncclFloat64:
      return reduce<double>(all);
    default:
      return reduce<Bf16>(all);
  }
}

bool agree(const Collective& a, const Collective& b) {
  return a.kind == b.kind && a.count == b.count && a.type == b.type && a.operation == b.operation &&
         a.root == b.root;
}

}  // namespace

std::size_t bytes_of(ncclDataType_t type) {
  switch (type) {
    case ncclBfloat16:
      return 2;
    case ncclFloat32:
      return 4;
    case ncclFloat64:
      return 8;
    default:
      return 0;
  }
}

bool compute_together(const std::vector<Collective>& all) {
  if (std::ranges::all_of(all, [&](const Collective& one) { return agree(one, all[0]); })) {
    compute(all);
    return true;
  }
  std::fprintf(stderr, "emulated NCCL: ranks came with different operations, sizes, types or roots\n");
  return false;
}

CliqueOfDevices::CliqueOfDevices(std::vector<int> devices)
    : devices_(std::move(devices)), ranks_(devices_.size()) {}

bool CliqueOfDevices::issue(int index) {
  const std::lock_guard lock(mutex_);
  Rank& rank = ranks_[static_cast<std::size_t>(index)];
  std::vector<std::thread::id>& issuers = issuers_[rank.issued];
  const auto self = std::this_thread::get_id();
  if (std::ranges::find(issuers, self) != issuers.end()) return false;
  issuers.push_back(self);
  count_issue(rank);
  return true;
}

void CliqueOfDevices::issue_in_group(int index) {
  const std::lock_guard lock(mutex_);
  count_issue(ranks_[static_cast<std::size_t>(index)]);
}

void CliqueOfDevices::count_issue(Rank& rank) {
  ++rank.issued;
  const std::uint64_t by_all = std::ranges::min(ranks_, {}, &Rank::issued).issued;
  issuers_.erase(issuers_.begin(), issuers_.lower_bound(by_all));
}

bool CliqueOfDevices::all_here() const { return std::ranges::all_of(ranks_, &Rank::here); }

void CliqueOfDevices::meet(int index, const Collective& collective) {
  std::unique_lock lock(mutex_);
  Rank& rank = ranks_[static_cast<std::size_t>(index)];
  // Another stream of the same rank may be here already.
  changed_.wait(lock, [&] { return rank.aborted || !rank.here; });
  if (rank.aborted) return;
  rank.here = true;
  rank.collective = collective;
  if (all_here()) {
    compute();
    ++met_;
    for (Rank& one : ranks_) one.here = false;
    changed_.notify_all();
    return;
  }
  const std::uint64_t before = met_;
  changed_.wait(lock, [&] { return rank.aborted || met_ != before; });
  if (met_ == before) rank.here = false;
}

void CliqueOfDevices::compute() {
  std::vector<Collective> all;
  for (const Rank& rank : ranks_) all.push_back(rank.collective);
  if (!compute_together(all)) error_ = ncclInvalidUsage;
}

void CliqueOfDevices::abort(int index) {
  const std::lock_guard lock(mutex_);
  ranks_[static_cast<std::size_t>(index)].aborted = true;
  changed_.notify_all();
}

ncclResult_t CliqueOfDevices::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

}  // namespace tardigrad::emulation
