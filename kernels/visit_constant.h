#pragma once

#include <type_traits>

namespace tardigrad {

/// Goes from a switch at run time to what is compiled for it: calls `visit` with the one of `values` that
/// equals `value`, as a std::integral_constant.
template <auto... values, typename Value, typename Visit>
void visit_constant(Value value, const Visit& visit) {
  static_cast<void>(((value == values && (visit(std::integral_constant<Value, values>{}), true)) || ...));
}

}  // namespace tardigrad
