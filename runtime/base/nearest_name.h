#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tardigrad {

/// The known name with the least edit distance to `name`, where one is near; else nothing.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// "--method ringleder: unknown; did you mean ringleader? known: asgd, …", the suggestion only where one is
/// near.
std::string unknown_name_message(std::string_view what, std::string_view name,
                                 const std::vector<std::string>& known);

/// The known name that somebody spells as `name`: case, spaces, dashes and underscores do not count, so that
/// "FashionMNIST" is fashion-mnist. Nothing where none is.
std::string known_spelling(std::string_view name, const std::vector<std::string>& known);

/// Text in small letters (ASCII), without spaces around it and around its commas: "CUDA:0, 1" is "cuda:0,1".
std::string in_plain_spelling(std::string_view text);

}  // namespace tardigrad
