#include "tools/cli/help_page.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <vector>

#include "runtime/base/parse_number.h"

namespace tardigrad {
namespace {

constexpr std::size_t least_width = 40;
constexpr std::size_t most_width = 120;
constexpr std::size_t usual_width = 100;
constexpr std::size_t name_width = 30;  // of the left column

std::size_t width_of_terminal() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  return columns == nullptr ? usual_width : parse_number<std::size_t>(columns).value_or(usual_width);
}

/// A paragraph in lines of at most `width` characters, but for words that are longer.
std::vector<std::string> lines_of(std::string_view paragraph, std::size_t width) {
  std::vector<std::string> lines(1);
  std::istringstream words{std::string(paragraph)};
  for (std::string word; words >> word;) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
  }
  return lines;
}

/// Text whose lines are paragraphs, or, where they begin with a blank, to be left alone.
std::string wrapped(const std::string& text, std::size_t width) {
  std::string result;
  std::istringstream paragraphs(text);
  for (std::string paragraph; std::getline(paragraphs, paragraph);) {
    if (paragraph.starts_with(' ')) {
      result += paragraph + "\n";
      continue;
    }
    for (const std::string& line : lines_of(paragraph, width)) result += line + "\n";
  }
  return result;
}

}  // namespace

HelpPage::HelpPage() : width_(std::clamp(width_of_terminal(), least_width, most_width)) {}

/// The description stands beside the name where there is room for both, else below it.
std::string HelpPage::row(const std::string& name, const std::string& description) const {
  constexpr std::size_t least_beside = 2 * name_width;
  const std::size_t indent = width_ < least_beside ? 6 : name_width;
  std::string result = "  " + name;
  const bool below = result.size() + 2 > indent;
  if (below) result += "\n";
  bool first = !below;
  for (const std::string& line : lines_of(description, width_ - indent)) {
    result += std::string(first ? indent - result.size() : indent, ' ') + line + "\n";
    first = false;
  }
  return result;
}

std::string HelpPage::make_option(const CLI::Option* option, bool is_positional) const {
  return row(make_option_name(option, is_positional) + make_option_opts(option), make_option_desc(option));
}

std::string HelpPage::make_subcommand(const CLI::App* command) const {
  const std::string description = command->get_description();
  return row(command->get_display_name(true), description.substr(0, description.find('\n')));
}

std::string HelpPage::make_description(const CLI::App* app) const {
  return wrapped(app->get_description(), width_) + "\n";
}

std::string HelpPage::make_footer(const CLI::App* app) const { return wrapped(app->get_footer(), width_); }

}  // namespace tardigrad
