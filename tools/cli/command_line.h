#pragma once

#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace tardigrad {

struct Checkpoint;

/// Has the app, which has its commands, read a command line: `help COMMAND` like `COMMAND --help`, option
/// files expanded. Gives the checkpoint that `--resume` means, which has been read for its options; null
/// where there is none. Throws std::invalid_argument for what it does not know or what a value cannot be, in
/// the order they were given, and with the file they come from; CLI::ParseError for what is missing, and
/// where help or the version are asked for.
std::shared_ptr<const Checkpoint> read_command_line(CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace tardigrad
