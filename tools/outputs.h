#pragma once

namespace tardigrad {

/// Opens /dev/null for those of stdin, stdout and stderr that whoever started the program has closed: a file
/// opened later would become one of them, and have messages written into it.
void open_standard_streams();

/// From here on a pipe that nobody reads any more, or a file at its size limit, is an error of the write,
/// where it would have ended the program.
void outlive_outputs();

}  // namespace tardigrad
