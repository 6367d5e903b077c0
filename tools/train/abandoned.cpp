#include "tools/train/abandoned.h"

#include <mutex>
#include <utility>
#include <vector>

namespace tardigrad {
namespace {

struct Abandoned {
  std::mutex mutex;
  std::vector<std::shared_ptr<const void>> things;
  std::vector<std::shared_ptr<const void>> seen;  // by those who compute nothing
};

/// Never destroyed.
Abandoned& abandoned() {
  static auto* const all = new Abandoned;
  return *all;
}

}  // namespace

void abandon(std::shared_ptr<const void> used) {
  const std::lock_guard lock(abandoned().mutex);
  abandoned().things.push_back(std::move(used));
}

void keep_for_ever(std::shared_ptr<const void> seen) {
  const std::lock_guard lock(abandoned().mutex);
  abandoned().seen.push_back(std::move(seen));
}

bool anything_abandoned() {
  const std::lock_guard lock(abandoned().mutex);
  return !abandoned().things.empty();
}

}  // namespace tardigrad
