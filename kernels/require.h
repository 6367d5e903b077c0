#pragma once

#include <stdexcept>
#include <string>

namespace tardigrad {

/// Throws std::logic_error with the operation's name and the text unless the condition holds.
template <typename Operation>
void require(bool holds, const char* text) {
  if (!holds) throw std::logic_error(std::string(Operation::name) + ": " + text);
}

}  // namespace tardigrad
