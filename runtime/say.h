#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace tardigrad {

/// Prints to a stream that may be closed, or full: unlike fmt::print it never throws for that. False where
/// not all could be handed to the stream.
template <class... T>
bool say(std::FILE* stream, fmt::format_string<T...> format, T&&... values) {
  const std::string text = fmt::format(format, std::forward<T>(values)...);
  return std::fwrite(text.data(), 1, text.size(), stream) == text.size();
}

}  // namespace tardigrad
