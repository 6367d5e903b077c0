#include "tools/live/exposition.h"

#include <fmt/format.h>

#include <cmath>

namespace tardigrad {
namespace {

/// `quoted`: as the value of a label, which stands in quotes.
std::string escaped_text(std::string_view text, bool quoted) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') {
      result += "\\n";
    } else if (c == '\\' || (c == '"' && quoted)) {
      result += {'\\', c};
    } else {
      result += c;
    }
  }
  return result;
}

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

}  // namespace

void Exposition::begin(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped_text(help, false), name, type);
}

void Exposition::sample(double value, const Labels& labels, std::string_view suffix) {
  text_ += name_;
  text_ += suffix;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    text_ +=
        fmt::format("{}{}=\"{}\"", i == 0 ? '{' : ',', labels[i].first, escaped_text(labels[i].second, true));
  }
  text_ += fmt::format("{} {}\n", labels.empty() ? "" : "}", number_text(value));
}

void Exposition::add(std::string_view name, std::string_view type, std::string_view help, double value) {
  begin(name, type, help);
  sample(value);
}

}  // namespace tardigrad
