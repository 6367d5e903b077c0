#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tardigrad {

/// Replaces each `--config FILE` by the options in that TOML file: a key is a flag without its dashes, an
/// array is a list. With `--replay FILE`, which stays, come the options of the recorded run, and with
/// `--resume` those of the run to go on with; it then names the checkpoint (find_checkpoint()), or is left
/// out where there is none yet. They are put behind the command, the recorded ones first, so that the command
/// line wins. Throws std::invalid_argument naming the file if it cannot be read.
std::vector<std::string> expand_option_files(const std::vector<std::string>& arguments);

/// The members of `run` that the object `names_json` also has, as words of a command line; not those that
/// were not given.
std::vector<std::string> options_in(const nlohmann::ordered_json& run, const std::string& names_json);

/// Throws std::invalid_argument, naming the first option that differs, if a run would not repeat the numbers
/// of the one recorded in the file of `flag`; `run_json` is its run record. Where it runs and what it shows
/// may differ, and, unless the step size follows it, how long it goes on.
void check_same_numbers(const char* flag, const std::string& path, const std::string& recorded_json,
                        const std::string& run_json);

}  // namespace tardigrad
