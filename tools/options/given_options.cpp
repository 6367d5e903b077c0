#include "tools/options/given_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "runtime/base/nearest_name.h"
#include "runtime/base/parse_number.h"

namespace tardigrad {
namespace {

bool looks_like_option(std::string_view word) {
  return word.size() > 1 && word.front() == '-' && !parse_number<double>(word);
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

std::string without_dashes(std::string_view flag) {
  return std::string(flag.substr(std::min(flag.find_first_not_of('-'), flag.size())));
}

/// Those of a command, without their dashes.
std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back(name);
  }
  return flags;
}

/// The other command that knows a flag; null if none does.
const CLI::App* other_command_with(const CLI::App& command, const std::string& flag) {
  if (command.get_parent() == nullptr) return nullptr;
  for (const CLI::App* other : command.get_parent()->get_subcommands({})) {
    if (other->get_option_no_throw("--" + flag) != nullptr) return other;
  }
  return nullptr;
}

/// "tardigrad train"
std::string call_of(const CLI::App& command) {
  return command.get_parent() == nullptr ? command.get_name()
                                         : command.get_parent()->get_name() + " " + command.get_name();
}

std::string describe_unknown(const CLI::App& command, const GivenOption& option) {
  const std::string name = without_dashes(option.flag);
  std::string hint;
  if (const std::string nearest = nearest_name(name, flags_of(command)); !nearest.empty()) {
    hint = fmt::format(" (did you mean --{}?)", nearest);
  } else if (const CLI::App* other = other_command_with(command, name)) {
    hint = fmt::format(" (an option of {})", other->get_name());
  }
  return option.source + option.flag + hint;
}

/// "--lr=0.1", or "-oFILE", in parts; of other words the whole is the flag.
GivenOption split_word(const CLI::App& command, const std::string& word) {
  const std::size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
  if (equals != std::string::npos) return {word.substr(0, equals), word.substr(equals + 1)};
  const CLI::Option* letter = command.get_option_no_throw(word.substr(0, 2));
  if (word.size() > 2 && letter != nullptr && takes_value(*letter)) {
    return {word.substr(0, 2), word.substr(2)};
  }
  return {word, std::nullopt};
}

class WordReader {
 public:
  WordReader(const CLI::App& command, const std::vector<std::string>& words)
      : command_(command), words_(words) {}

  GivenWords read() {
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (word == "--") {
        given_.others.insert(given_.others.end(), words_.begin() + next(), words_.end());
        break;
      }
      if (looks_like_option(word)) {
        read_option(split_word(command_, word));
      } else {
        given_.others.push_back(word);
      }
    }
    require_known(command_, given_.options);
    if (!missing_.empty()) throw std::invalid_argument(missing_);
    return std::move(given_);
  }

 private:
  std::ptrdiff_t next() const { return static_cast<std::ptrdiff_t>(next_); }

  void read_option(GivenOption option) {
    const CLI::Option* known = command_.get_option_no_throw(option.flag);
    if (known == nullptr) {
      given_.options.push_back(option);
      while (next_ < words_.size() && !looks_like_option(words_[next_])) ++next_;  // its values, probably
      return;
    }
    if (takes_value(*known) && !option.value) option.value = next_value(option.flag);
    if (!known->get_lnames().empty()) option.flag = "--" + known->get_lnames().front();
    given_.options.push_back(std::move(option));
  }

  /// The word behind a flag that needs one.
  std::string next_value(const std::string& flag) {
    const bool there = next_ < words_.size() && !words_[next_].starts_with("--") &&
                       command_.get_option_no_throw(words_[next_]) == nullptr;
    if (there) return words_[next_++];
    if (missing_.empty()) {
      missing_ = fmt::format("{}: expected a value{}", flag,
                             next_ < words_.size() ? fmt::format(", found {}", words_[next_]) : "");
    }
    return "";
  }

  const CLI::App& command_;
  const std::vector<std::string>& words_;
  std::size_t next_ = 0;
  GivenWords given_;
  std::string missing_;  // the first complaint
};

bool has_positionals(const CLI::App& command) {
  return std::ranges::any_of(command.get_options(),
                             [](const CLI::Option* option) { return option->get_positional(); });
}

}  // namespace

GivenWords read_words(const CLI::App& command, const std::vector<std::string>& words) {
  GivenWords given = WordReader(command, words).read();
  if (!given.others.empty() && !has_positionals(command)) {
    throw std::invalid_argument(fmt::format("{} {}: unexpected; expected options, which {} --help shows",
                                            command.get_name(), fmt::join(given.others, " "),
                                            call_of(command)));
  }
  return given;
}

void require_known(const CLI::App& command, const std::vector<GivenOption>& options) {
  std::vector<std::string> unknown;
  for (const GivenOption& option : options) {
    if (command.get_option_no_throw(option.flag) == nullptr) {
      unknown.push_back(describe_unknown(command, option));
    }
  }
  if (unknown.empty()) return;
  throw std::invalid_argument(
      fmt::format("unknown: {}; {} --help shows the options", fmt::join(unknown, ", "), call_of(command)));
}

void require_values(const std::vector<GivenOption>& options) {
  for (const GivenOption& option : options) {
    if (!option.value || !option.value->empty()) continue;
    throw std::invalid_argument(
        fmt::format("{}{}: the value is empty (an unset variable?); expected one, or the option left out",
                    option.source, option.flag));
  }
}

std::optional<std::string> value_of(const std::vector<GivenOption>& options, const std::string& flag) {
  const auto last = std::find_if(options.rbegin(), options.rend(),
                                 [&](const GivenOption& option) { return option.flag == flag; });
  return last == options.rend() ? std::nullopt : last->value;
}

std::string to_word(const GivenOption& option) {
  return option.value ? option.flag + "=" + *option.value : option.flag;
}

}  // namespace tardigrad
