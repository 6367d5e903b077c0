#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/options/given_options.h"
#include "tools/options/option_row.h"

namespace tardigrad {

struct Checkpoint;

/// The options of a command, with those of files in place of these.
struct ExpandedOptions {
  std::vector<GivenOption> options;
  std::shared_ptr<const Checkpoint> checkpoint;  ///< the one that --resume means; null where the run begins
};

/// Replaces each `--config FILE` by the options in that file (read_config()). With `--replay FILE`, which
/// stays, come the options of the recorded run, and with `--resume` those of the run to go on with; it then
/// names the checkpoint (find_checkpoint()), or is left out where there is none yet. The recorded ones come
/// first, then those of files, so that what is given by hand is the last. Throws std::invalid_argument naming
/// the file if it cannot be read, or holds an option that `command` does not know.
ExpandedOptions expand_option_files(const CLI::App& command, const std::vector<GivenOption>& given);

/// Gives the options of a kind that the record `run` holds; not those that were not given.
std::vector<GivenOption> options_in(const nlohmann::ordered_json& run, Record kind,
                                    const std::string& source);

/// Throws std::invalid_argument, naming the first option that differs, if a run would not repeat the numbers
/// of the one recorded in the file of `flag`; `run_json` is its run record. Where it runs and what it shows
/// may differ, and, unless the step size follows it, how long it goes on.
void check_same_numbers(const char* flag, const std::string& path, const std::string& recorded_json,
                        const std::string& run_json);

}  // namespace tardigrad
