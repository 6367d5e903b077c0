#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace tardigrad {

/// Lays out the manual of a command for the width of the terminal, or of COLUMNS where stdout is none. Lines
/// of descriptions and footers that begin with blanks, commands to copy, stay as they are.
class HelpPage : public CLI::Formatter {
 public:
  HelpPage();

  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  std::string make_description(const CLI::App* app) const override;
  std::string make_footer(const CLI::App* app) const override;

 private:
  std::string row(const std::string& name, const std::string& description) const;

  std::size_t width_;
};

}  // namespace tardigrad
