#include "tools/options/option_group.h"

#include <CLI/CLI.hpp>

namespace tardigrad {
namespace {

/// "-q,--quiet"
std::string names_of(const OptionRow& row) {
  return row.letter == 0 ? row.flag() : std::string{'-', row.letter, ','} + row.flag();
}

auto setter(const std::string& flag, std::string& target, const OptionType<std::string>& type) {
  return [flag, &target, parse = type.parse](const std::string& text) { target = parse(flag, text); };
}

}  // namespace

void OptionGroup::add_option(const Shown& shown, const Take& take) {
  const auto take_last = [take](const CLI::results_t& results) {
    take(results.back());
    return true;
  };
  CLI::Option* option = command_.add_option(shown.flag, take_last, shown.help);
  option->type_name(shown.values)->default_str(shown.default_value)->required(shown.required)->group(title_);
  option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

OptionGroup& OptionGroup::add(const OptionRow& row, TrainOptions& options) {
  if (row.is_on) {
    command_.add_flag(names_of(row), options.*row.is_on, row.help)->group(title_);
    return *this;
  }
  add_option({names_of(row), row.values, row.required ? "" : row.shown(options), row.help, row.required},
             [&options, parse = row.parse](const std::string& text) { parse(options, text); });
  return *this;
}

OptionGroup& OptionGroup::add(const std::string& flag, std::string& target,
                              const OptionType<std::string>& type, const std::string& help) {
  add_option({flag, type.values, target, help}, setter(flag, target, type));
  return *this;
}

OptionGroup& OptionGroup::require(const std::string& flag, std::string& target,
                                  const OptionType<std::string>& type, const std::string& help) {
  add_option({flag, type.values, "", help, true}, setter(flag, target, type));
  return *this;
}

OptionGroup& OptionGroup::mention(const std::string& flag, const std::string& values,
                                  const std::string& help) {
  add_option({flag, values, "", help}, [](const std::string&) {});
  return *this;
}

}  // namespace tardigrad
