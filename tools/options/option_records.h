#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "tools/options/train_options.h"

namespace tardigrad {

// Options as records have them, and as a command that repeats a run.

/// Gives the options as the members of a JSON object, for the `run` record of logs and recordings.
std::string to_json(const TrainOptions& options);

/// Gives what a run leaves, likewise: with the options all that whoever resumes it need not say again.
std::string outputs_json(const TrainOptions& options);

/// Tells whether an option of a record has a value; where it was not given it is null or an empty text.
bool is_given(const nlohmann::ordered_json& value);

/// Gives the options that the run record of a log or a recording holds. Throws BadValue.
TrainOptions recorded_options(const nlohmann::ordered_json& run);

/// Gives a value of a record as its option takes it.
std::string text_of(const nlohmann::ordered_json& value);

/// Gives the command line of `tardigrad train` that runs the same again, without what it leaves; quoted for a
/// shell.
std::string repeat_command(const TrainOptions& options);

/// Gives the words of a command line, quoted for a shell, without secrets.
std::string command_line_of(std::span<const std::string> words);

}  // namespace tardigrad
