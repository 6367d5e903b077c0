#include "tools/options/option_group.h"

#include <CLI/CLI.hpp>

namespace tardigrad {

void OptionGroup::add_option(const Row& row, const Take& take) {
  const auto take_last = [take](const CLI::results_t& results) {
    take(results.back());
    return true;
  };
  CLI::Option* option = command_.add_option(row.flag, take_last, row.help);
  option->type_name(row.values)->default_str(row.default_value)->required(row.required)->group(title_);
  option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

OptionGroup& OptionGroup::add_switch(const std::string& flag, bool& target, const std::string& help) {
  command_.add_flag(flag, target, help)->group(title_);
  return *this;
}

OptionGroup& OptionGroup::mention(const std::string& flag, const std::string& values,
                                  const std::string& help) {
  add_option({flag, values, "", help}, [](const std::string&) {});
  return *this;
}

}  // namespace tardigrad
