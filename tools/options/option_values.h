#pragma once

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

/// Makes a value of the text that somebody gave an option. Throws BadValue, naming what was expected.
template <typename Value>
struct Reader {
  std::string values;  ///< as the manual calls them
  std::function<Value(const std::string& flag, const std::string& text)> read;
  std::function<std::string(const Value&)> show = {};  ///< a default value in the manual; empty: as it is
};

/// Throws BadValue: "--lr: nan is not a positive number".
[[noreturn]] void refuse_value(const std::string& flag, const std::string& text, const std::string& expected);

/// Without spaces around it, and without a plus sign before it.
std::string number_in(const std::string& text);

/// Whole numbers in decimal digits: 010 is ten.
template <std::integral Whole>
Reader<Whole> whole_number(Whole least, Whole most = std::numeric_limits<Whole>::max()) {
  return {"N", [least, most](const std::string& flag, const std::string& text) {
            const auto value = parse_number<Whole>(number_in(text));
            if (value && *value >= least && *value <= most) return *value;
            refuse_value(flag, text,
                         "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
          }};
}

/// Finite numbers for which `valid` holds; `what` they are, for the message.
Reader<double> number(const std::string& what, bool (*valid)(double));
Reader<double> positive_number();
Reader<double> number_from_0_to_1();

/// Seconds, or what else a clock counts, above 0: "10", "10s", "5m" or "2h".
Reader<double> duration();

/// Bytes: "64K", "256M", "1G" or plain ones.
Reader<std::uint64_t> size_from(std::uint64_t least_bytes);

/// Any text; `values` says what of.
Reader<std::string> text(const std::string& values);

/// One of these words, in any case.
Reader<std::string> one_of(const std::vector<std::string>& words);

/// Words and lists of words and numbers, in the spelling of in_plain_spelling().
Reader<std::string> words(const std::string& values);

/// One of these names, in any spelling of known_spelling(), or, where `with_arguments` has such a word, that
/// word and what follows it behind a colon. `readme` says how to add one.
Reader<std::string> name_of(const std::string& values, const std::vector<std::string>& known,
                            const std::string& readme, const std::string& with_arguments = {});

/// How often something is done: every so many updates, or every so much time.
struct Period {
  std::optional<std::uint64_t> updates;
  std::optional<double> time;
};

/// "500" or "500u": updates. "10s", "5m", "2h": time. Throws BadValue.
Period parse_period(const std::string& flag, const std::string& text);

/// Text that parse_period() reads, as given.
Reader<std::string> period();

}  // namespace tardigrad
