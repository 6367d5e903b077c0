#pragma once

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

namespace tardigrad {

// What a path of an output may be besides a file: "-" is stdout; /dev/stdout, /dev/fd/N and the like are
// descriptors that are open already, as a shell makes them for >(gzip >x); pipes with names; devices such as
// /dev/null. They are streams: written once, from front to back, never cut, renamed or read.

/// Returns the descriptor that a path is another name of, links followed, and nothing for other paths.
std::optional<int> descriptor_of(const std::filesystem::path& path);

/// Tells whether a path is a stream. What is not there yet is none.
bool is_stream(const std::filesystem::path& path);

/// Opens a new descriptor to write to the stream. It waits for a reader of a pipe that has none yet, and says
/// so on stderr. Throws std::system_error.
int open_stream(const std::filesystem::path& path);

/// Writes all parts to the stream. Throws std::system_error.
void write_to_stream(const std::filesystem::path& path,
                     std::initializer_list<std::span<const std::byte>> parts);

/// Returns what two paths have in common if they are the same file, however they are written. Files that are
/// not there yet have an identity, too. The null device has none: what is written there cannot disturb
/// anything.
std::optional<std::string> identity_of(const std::filesystem::path& path);

}  // namespace tardigrad
