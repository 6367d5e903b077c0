#include "runtime/base/toml_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace tardigrad {
namespace {

/// The library's words, which may repeat line ends of the text.
std::string on_one_line(std::string_view words) {
  std::string line(words.substr(0, 200));
  std::ranges::replace_if(
      line, [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
  return line;
}

/// a.b.c and so on is a table in a table in a table; the library's recursion over them has no bound of its
/// own.
bool has_endless_key(std::string_view text) {
  constexpr int most_dots = 256;
  int dots = 0;
  for (const char c : text) {
    if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos) dots = 0;
    if (c == '.' && ++dots > most_dots) return true;
  }
  return false;
}

}  // namespace

std::string read_text(const char* flag, const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  if (stream.is_open() && stream.peek() != std::ifstream::traits_type::eof()) text << stream.rdbuf();
  if (!stream.is_open() || stream.bad() || text.bad()) {
    throw std::invalid_argument(
        fmt::format("{} {}: expected a file that can be read: {}", flag, file, std::strerror(errno)));
  }
  return std::move(text).str();
}

toml::table parse_toml(const char* flag, const std::string& file, std::string_view text) {
  if (has_endless_key(text)) {
    throw std::invalid_argument(
        fmt::format("{} {}: expected TOML of short keys, found a key of many parts", flag, file));
  }
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw std::invalid_argument(fmt::format("{} {}:{}: expected TOML: {}", flag, file,
                                            error.source().begin.line, on_one_line(error.description())));
  }
}

}  // namespace tardigrad
