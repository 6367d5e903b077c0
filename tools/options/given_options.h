#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace tardigrad {

/// An option as somebody gave it.
struct GivenOption {
  std::string flag;                  ///< "--lr", also of an option that was given by its letter
  std::optional<std::string> value;  ///< nothing for a flag alone
  std::string source = {};           ///< "--config run.toml:3: "; empty: the command line
};

/// The words behind a command.
struct GivenWords {
  std::vector<GivenOption> options;
  std::vector<std::string> others;  ///< positional ones
};

/// Tells the options of `command` and their values apart, as the command knows them. Throws
/// std::invalid_argument, naming them all, for options that it does not know, and for words that are neither
/// option nor value.
GivenWords read_words(const CLI::App& command, const std::vector<std::string>& words);

/// Throws std::invalid_argument naming those, and the nearest known ones, that `command` does not know.
void require_known(const CLI::App& command, const std::vector<GivenOption>& options);

/// Throws std::invalid_argument for an option whose value is empty, as that of an unset shell variable is: no
/// option has a use for one.
void require_values(const std::vector<GivenOption>& options);

/// The value that holds: the last one. Nothing where the flag is not given.
std::optional<std::string> value_of(const std::vector<GivenOption>& options, const std::string& flag);

/// The same as one word, "--lr=0.1".
std::string to_word(const GivenOption& option);

}  // namespace tardigrad
