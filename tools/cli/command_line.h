#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace tardigrad {

/// Has the app, which has its commands, read a command line: `help COMMAND` like `COMMAND --help`, option
/// files expanded. Throws std::invalid_argument for what it does not know or what a value cannot be, in the
/// order they were given, and with the file they come from; CLI::ParseError for what is missing, and where
/// help or the version are asked for.
void read_command_line(CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace tardigrad
