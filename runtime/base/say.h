#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

namespace tardigrad {

/// Prints to a stream that may be closed, or full: unlike fmt::print it never throws for that. Returns false
/// where not all could be handed to the stream.
template <typename... T>
bool say(std::FILE* stream, fmt::format_string<T...> format, T&&... values) {
  const std::string text = fmt::format(format, std::forward<T>(values)...);
  return std::fwrite(text.data(), 1, text.size(), stream) == text.size();
}

/// Returns a time with its zone, in local time to the millisecond: "2026-03-01T14:03:07.250+01:00" (RFC
/// 3339).
std::string zoned_time(std::chrono::system_clock::time_point time);

/// Prints a line of text on stderr and ends it, in one piece, so that lines of several threads do not mix.
/// Where stderr is no terminal the zoned_time() of now and a space stand before it, as logs need.
void say_line(const std::string& text);

/// Formats a line and prints it likewise.
template <typename... T>
requires(sizeof...(T) > 0) void say_line(fmt::format_string<T...> format, T&&... values) {
  say_line(fmt::format(format, std::forward<T>(values)...));
}

}  // namespace tardigrad
