#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "runtime/execution/orders.h"

namespace tardigrad {

/// Returns the versions of the models that the jobs of all workers start from.
inline std::set<std::uint64_t> versions_of(std::span<const std::vector<Job>> jobs) {
  std::set<std::uint64_t> versions;
  for (const std::vector<Job>& of_worker : jobs) {
    for (const Job& job : of_worker) versions.insert(job.version);
  }
  return versions;
}

}  // namespace tardigrad
