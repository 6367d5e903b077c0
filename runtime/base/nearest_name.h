#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tardigrad {

/// Returns the known name with the least edit distance to `name`, or nothing where none is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// Returns the message "--method ringleder: unknown; did you mean ringleader? known: asgd, …". It makes the
/// suggestion only where a name is near.
std::string unknown_name_message(std::string_view what, std::string_view name,
                                 const std::vector<std::string>& known);

/// Returns the known name that somebody spells as `name`, or nothing where none is. Case, spaces, dashes and
/// underscores do not count, so that "FashionMNIST" is fashion-mnist.
std::string known_spelling(std::string_view name, const std::vector<std::string>& known);

/// Returns text in small letters (ASCII), without spaces around it and around its commas: "CUDA:0, 1" is
/// "cuda:0,1".
std::string in_plain_spelling(std::string_view text);

}  // namespace tardigrad
