#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace tardigrad::testing {

/// Begins a process that stays as the tests' own is now, and forks itself wherever the program is to run:
/// that takes a fraction of what starting a sanitized program takes. To be called before anything has
/// threads.
void start_program_server();

/// Runs the program's main in a process of its own, in a folder, with these shell words as its arguments and
/// what it prints in two files of that folder. Returns its status as waitpid would, or nothing where the
/// words need a shell (redirections, patterns of names).
std::optional<int> serve_program(const std::filesystem::path& folder, const std::string& arguments,
                                 const std::string& out, const std::string& err);

}  // namespace tardigrad::testing
