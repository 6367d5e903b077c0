#pragma once

#include <fmt/format.h>

#include <concepts>
#include <functional>
#include <string>
#include <utility>

#include "tools/options/option_values.h"

namespace CLI {
class App;
}

namespace tardigrad {

/// Adds options to one group of a command's manual. A value is checked, and gets its type, as soon as it is
/// read; of several values of an option the last holds. Targets outlive the command.
class OptionGroup {
 public:
  OptionGroup(CLI::App& command, std::string title) : command_(command), title_(std::move(title)) {}

  /// The manual shows the target's present value as the default, unless it is empty.
  template <typename Target, typename Value>
  OptionGroup& add(const std::string& flag, Target& target, const Reader<Value>& reader,
                   const std::string& help) {
    add_option({flag, reader.values, shown(target, reader), help}, taker(flag, target, reader));
    return *this;
  }

  /// The same for an option that has to be given.
  template <typename Target, typename Value>
  OptionGroup& require(const std::string& flag, Target& target, const Reader<Value>& reader,
                       const std::string& help) {
    add_option({flag, reader.values, "", help, true}, taker(flag, target, reader));
    return *this;
  }

  /// An option without a value.
  OptionGroup& add_switch(const std::string& flag, bool& target, const std::string& help);

  /// An option that is no more than shown here: whoever expands option files takes it out.
  OptionGroup& mention(const std::string& flag, const std::string& values, const std::string& help);

 private:
  using Take = std::function<void(const std::string& text)>;

  struct Row {
    std::string flag;
    std::string values;
    std::string default_value;
    std::string help;
    bool required = false;
  };

  void add_option(const Row& row, const Take& take);

  template <typename Target, typename Value>
  static Take taker(const std::string& flag, Target& target, const Reader<Value>& reader) {
    return [flag, &target, read = reader.read](const std::string& text) { target = read(flag, text); };
  }

  template <typename Target, typename Value>
  static std::string shown(const Target& target, const Reader<Value>& reader) {
    if constexpr (requires { target.has_value(); }) {
      return "";
    } else if (reader.show) {
      return reader.show(target);
    } else {
      return fmt::format("{}", target);
    }
  }

  CLI::App& command_;
  std::string title_;
};

}  // namespace tardigrad
