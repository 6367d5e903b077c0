#include "tools/options/config_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "runtime/base/json_text.h"
#include "runtime/base/toml_file.h"

namespace tardigrad {
namespace {

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Where a comment begins: at the first # behind a blank.
std::size_t comment_in(std::string_view value) {
  for (std::size_t at = value.find('#'); at != value.npos; at = value.find('#', at + 1)) {
    if (at == 0 || blanks.find(value[at - 1]) != blanks.npos) return at;
  }
  return value.size();
}

bool is_toml_value(std::string_view value) {
  try {
    static_cast<void>(toml::parse(fmt::format("x = {}", value)));
    return true;
  } catch (const toml::parse_error&) {
    return false;
  }
}

/// A line of a file: in "key = word", the word in quotes if TOML would not know it otherwise.
std::string with_quotes(std::string_view line) {
  constexpr std::size_t longest = 4096;
  const std::size_t equals = line.find('=');
  if (equals == line.npos || line.size() > longest) return std::string(line);
  const std::string_view rest = line.substr(equals + 1);
  const std::string_view value = trimmed(rest.substr(0, comment_in(rest)));
  const bool bare = !value.empty() && std::string_view("\"'[{").find(value.front()) == std::string_view::npos;
  const bool quotable = value.find('\'') == value.npos && std::ranges::all_of(value, [](char c) {
                          return static_cast<unsigned char>(c) >= 0x20;
                        });
  if (!bare || !quotable || is_toml_value(value)) return std::string(line);
  return fmt::format("{}= '{}'", line.substr(0, equals), value);
}

std::string with_quotes_everywhere(std::string_view text) {
  std::string quoted;
  while (true) {
    const std::size_t end = text.find('\n');
    quoted += with_quotes(text.substr(0, end));
    if (end == text.npos) return quoted;
    quoted += '\n';
    text.remove_prefix(end + 1);
  }
}

/// As a command line would have it; nothing if an option cannot be that.
std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return fmt::format("{}", whole->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  return std::nullopt;
}

std::optional<std::string> list_of(const toml::node& node) {
  if (!node.is_array()) return text_of(node);
  std::vector<std::string> parts;
  for (const toml::node& element : *node.as_array()) {
    const auto part = text_of(element);
    if (!part) return std::nullopt;
    parts.push_back(*part);
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

}  // namespace

std::vector<GivenOption> read_config(const std::string& path) {
  const toml::table document =
      parse_toml("--config", path, with_quotes_everywhere(read_text("--config", path)));
  struct Line {
    toml::source_index number;
    GivenOption option;
  };
  std::vector<Line> lines;
  for (const auto& [key, value] : document) {
    const toml::source_index number = key.source().begin.line;
    std::string flag(key.str());
    std::ranges::replace(flag, '_', '-');
    const auto text = list_of(value);
    if (!text) {
      throw std::invalid_argument(
          fmt::format("--config {}:{}: {}: expected lines of the form flag = value, in no section", path,
                      number, in_quotes(key.str())));
    }
    lines.push_back({number, {"--" + flag, *text, fmt::format("--config {}:{}: ", path, number)}});
  }
  std::ranges::stable_sort(lines, {}, &Line::number);
  std::vector<GivenOption> options;
  options.reserve(lines.size());
  for (Line& line : lines) options.push_back(std::move(line.option));
  return options;
}

}  // namespace tardigrad
