#pragma once

#include <optional>
#include <string>

namespace tardigrad {

/// Opens /dev/null for those of stdin, stdout and stderr that whoever started the program has closed: a file
/// opened later would become one of them, and have messages written into it. What is written to such a stdout
/// fails, as if it were closed still.
void open_standard_streams();

/// Hands over what has been printed to stdout so far. What is lost of it trouble_with_stdout() will tell.
void flush_stdout();

/// Why something that a command printed to stdout is lost, "stdout: cannot be written: No space left on
/// device"; nothing if all of it has been handed over. To be asked when nothing more is to be printed.
std::optional<std::string> trouble_with_stdout();

/// From here on a pipe that nobody reads any more, or a file at its size limit, is an error of the write,
/// where it would have ended the program.
void ignore_sigpipe_and_sigxfsz();

}  // namespace tardigrad
