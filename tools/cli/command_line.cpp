#include "tools/cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <stdexcept>

#include "runtime/base/nearest_name.h"
#include "tools/options/given_options.h"
#include "tools/options/option_values.h"
#include "tools/resume/option_files.h"

namespace tardigrad {
namespace {

constexpr const char* help_flag = "--help";

/// `help train` in the words that CLI11 knows.
std::vector<std::string> without_help_command(std::vector<std::string> words) {
  if (words.empty() || words.front() != "help") return words;
  words.erase(words.begin());
  words.resize(std::min<std::size_t>(words.size(), 1));
  words.emplace_back(help_flag);
  return words;
}

/// The command that the first word names.
CLI::App& command_of(CLI::App& app, const std::vector<std::string>& words) {
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  if (words.empty()) {
    throw std::invalid_argument(fmt::format("no command; expected {}, or --help", fmt::join(commands, ", ")));
  }
  if (words.front().starts_with('-')) return app;
  if (std::find(commands.begin(), commands.end(), words.front()) == commands.end()) {
    throw std::invalid_argument(unknown_name_message("command", words.front(), commands));
  }
  return *app.get_subcommand(words.front());
}

void parse(CLI::App& app, std::vector<std::string> words) {
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  app.parse(words);
}

/// What a value's refusal says, behind where the value comes from.
std::string describe(const BadValue& refused, const std::vector<GivenOption>& options) {
  const auto last = std::find_if(options.rbegin(), options.rend(),
                                 [&](const GivenOption& option) { return option.flag == refused.flag(); });
  return (last == options.rend() ? "" : last->source) + refused.what();
}

}  // namespace

std::shared_ptr<const Checkpoint> read_command_line(CLI::App& app,
                                                    const std::vector<std::string>& arguments) {
  const std::vector<std::string> words = without_help_command(arguments);
  const CLI::App& command = command_of(app, words);
  if (&command == &app) {
    static_cast<void>(read_words(app, words));
    parse(app, words);
    return nullptr;
  }
  const GivenWords given = read_words(command, {words.begin() + 1, words.end()});
  const bool asks_for_help =
      std::ranges::any_of(given.options, [](const GivenOption& option) { return option.flag == help_flag; });
  if (asks_for_help) parse(app, {command.get_name(), help_flag});  // throws
  const auto [options, checkpoint] = expand_option_files(command, given.options);
  std::vector<std::string> expanded{command.get_name()};
  for (const GivenOption& option : options) expanded.push_back(to_word(option));
  expanded.emplace_back("--");
  expanded.insert(expanded.end(), given.others.begin(), given.others.end());
  try {
    parse(app, std::move(expanded));
  } catch (const BadValue& refused) {
    throw std::invalid_argument(describe(refused, options));
  }
  return checkpoint;
}

}  // namespace tardigrad
