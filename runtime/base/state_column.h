#pragma once

#include <cstddef>
#include <type_traits>
#include <vector>

namespace tardigrad {

/// Visits one member of each of `count` owners as a list, in both directions of a StateArchive: `member`
/// gives that of owner i as a reference, visit(std::vector&) is a call of the archive.
template <typename Member, typename Visit>
void visit_column(std::size_t count, const Member& member, const Visit& visit) {
  std::vector<std::remove_cvref_t<std::invoke_result_t<Member, std::size_t>>> values;
  values.reserve(count);
  for (std::size_t i = 0; i < count; ++i) values.push_back(member(i));
  visit(values);
  for (std::size_t i = 0; i < count; ++i) member(i) = values[i];
}

}  // namespace tardigrad
