#pragma once

#include <functional>
#include <string>
#include <utility>

#include "tools/options/option_row.h"

namespace CLI {
class App;
}

namespace tardigrad {

/// Adds options to one group of a command's manual. A value is checked, and gets its type, as soon as it is
/// read; of several values of an option the last holds. What they set outlives the command.
class OptionGroup {
 public:
  OptionGroup(CLI::App& command, std::string title) : command_(command), title_(std::move(title)) {}

  /// Adds an option of option_table(), which sets `options`. The manual shows its present value as the
  /// default, unless it is empty.
  OptionGroup& add(const OptionRow& row, TrainOptions& options);

  /// Adds an option of this command alone, likewise.
  OptionGroup& add(const std::string& flag, std::string& target, const OptionType<std::string>& type,
                   const std::string& help);

  /// Adds one that has to be given.
  OptionGroup& require(const std::string& flag, std::string& target, const OptionType<std::string>& type,
                       const std::string& help);

  /// Adds an option that is no more than shown here: whoever expands option files takes it out.
  OptionGroup& mention(const std::string& flag, const std::string& values, const std::string& help);

 private:
  using Take = std::function<void(const std::string& text)>;

  struct Shown {
    std::string flag;
    std::string values;
    std::string default_value;
    std::string help;
    bool required = false;
  };

  void add_option(const Shown& shown, const Take& take);

  CLI::App& command_;
  std::string title_;
};

}  // namespace tardigrad
