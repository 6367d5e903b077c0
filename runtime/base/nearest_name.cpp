#include "runtime/base/nearest_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <numeric>

namespace tardigrad {
namespace {

/// Levenshtein's distance, one row at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substitution = diagonal + (a[i] != b[j] ? 1 : 0);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substitution, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

char small(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

/// What counts of a name.
std::string letters_of(std::string_view name) {
  std::string letters;
  for (const char c : name) {
    if (c != ' ' && c != '-' && c != '_') letters += small(c);
  }
  return letters;
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  std::string nearest;
  std::size_t least = name.size() / 2 + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest;
}

std::string unknown_name_message(std::string_view what, std::string_view name,
                                 const std::vector<std::string>& known) {
  const std::string nearest = nearest_name(name, known);
  return fmt::format("{} {}: unknown; {}known: {}", what, name,
                     nearest.empty() ? "" : fmt::format("did you mean {}? ", nearest),
                     fmt::join(known, ", "));
}

std::string known_spelling(std::string_view name, const std::vector<std::string>& known) {
  const std::string letters = letters_of(name);
  const auto found = std::ranges::find_if(
      known, [&](const std::string& candidate) { return letters_of(candidate) == letters; });
  return found == known.end() ? "" : *found;
}

std::string in_plain_spelling(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t';
    if (space && (plain.empty() || plain.back() == ',')) continue;
    if (c == ',') plain.erase(plain.find_last_not_of(" \t") + 1);
    plain += small(c);
  }
  plain.erase(plain.find_last_not_of(" \t") + 1);
  return plain;
}

}  // namespace tardigrad
