#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/parse_number.h"
#include "tools/options/period.h"

namespace tardigrad {

/// A value that its option refuses. The message begins with the flag.
class BadValue : public std::invalid_argument {
 public:
  BadValue(std::string flag, const std::string& message)
      : std::invalid_argument(message), flag_(std::move(flag)) {}
  const std::string& flag() const { return flag_; }

 private:
  std::string flag_;
};

/// Says what an option's values are: how the text that somebody gives becomes one, and the other way round.
template <typename Value>
struct OptionType {
  std::string values;  ///< as the manual calls them
  /// Throws BadValue, which names what was expected.
  std::function<Value(const std::string& flag, const std::string& text)> parse;
  /// Gives a text that parse() reads, for records. Numbers and texts need none.
  std::function<std::string(const Value&)> print = {};
  /// Gives a default value as the manual shows it, where that is another text.
  std::function<std::string(const Value&)> show = {};
};

/// Throws BadValue: "--lr: nan is not a positive number".
[[noreturn]] void refuse_value(const std::string& flag, const std::string& text, const std::string& expected);

/// Without spaces around it, and without a plus sign before it.
std::string number_in(const std::string& text);

/// Whole numbers in decimal digits: 010 is ten.
template <std::integral Whole>
OptionType<Whole> whole_number(Whole least, Whole most = std::numeric_limits<Whole>::max()) {
  return {"N", [least, most](const std::string& flag, const std::string& text) {
            const auto value = parse_number<Whole>(number_in(text));
            if (value && *value >= least && *value <= most) return *value;
            refuse_value(flag, text,
                         "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
          }};
}

/// Finite numbers for which `valid` holds; `what` they are, for the message.
OptionType<double> number(const std::string& what, bool (*valid)(double));
OptionType<double> positive_number();
OptionType<double> number_from_0_to_1();

/// Seconds, or what else a clock counts, above 0: "10", "10s", "5m" or "2h".
OptionType<double> duration();

/// Bytes: "64K", "256M", "1G" or plain ones.
OptionType<std::uint64_t> size_from(std::uint64_t least_bytes);

/// Any text; `values` says what of.
OptionType<std::string> text(const std::string& values);

/// Gives the one of these words that `text` spells, in any case. Throws BadValue.
std::string chosen_word(const std::string& flag, const std::string& text,
                        const std::vector<std::string>& known);

/// Joins words as the manual does, "on|off".
std::string alternatives(const std::vector<std::string>& known);

/// Makes the type of an option whose value is one of these words, in any case; each means something.
template <typename Value>
OptionType<Value> one_of(const std::vector<std::pair<std::string, Value>>& meanings) {
  std::vector<std::string> known;
  known.reserve(meanings.size());
  for (const auto& [word, value] : meanings) known.push_back(word);
  return {alternatives(known),
          [known, meanings](const std::string& flag, const std::string& text) {
            const std::string word = chosen_word(flag, text, known);
            return std::ranges::find(meanings, word, &std::pair<std::string, Value>::first)->second;
          },
          [meanings](const Value& value) {
            return std::ranges::find(meanings, value, &std::pair<std::string, Value>::second)->first;
          }};
}

/// Words and lists of words and numbers, in the spelling of in_plain_spelling().
OptionType<std::string> words(const std::string& values);

/// One of these names, in any spelling of known_spelling(), or one of `with_arguments` and what follows it
/// behind a colon. `readme` says how to add one.
OptionType<std::string> name_of(const std::string& values, const std::vector<std::string>& known,
                                const std::string& readme,
                                const std::vector<std::string>& with_arguments = {});

/// "500" or "500u": updates. "10s", "5m", "2h": time. Throws BadValue.
Period parse_period(const std::string& flag, const std::string& text);

OptionType<Period> period();

/// Makes the type of a period that may be missing: no text gives none, and records hold an empty one.
OptionType<std::optional<Period>> period_or_never();

}  // namespace tardigrad
