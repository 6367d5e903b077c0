#pragma once

#include "kernels/grouped_head.h"
#include "kernels/grouped_linear_math.h"

namespace tardigrad {

inline void check(const GroupedHead& head) {
  check_group(head);
  require<GroupedHead>(head.outputs <= GroupedHead::most_outputs, "too many outputs, expected 64 at most");
  require<GroupedHead>(head.input && head.labels && head.losses, "a pointer is null");
}

}  // namespace tardigrad
