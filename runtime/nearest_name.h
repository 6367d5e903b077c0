#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tardigrad {

/// "--method ringleder: unknown; did you mean ringleader? Known: asgd, …", the suggestion (least edit
/// distance) only where it is near.
std::string unknown_name_message(std::string_view what, std::string_view name,
                                 const std::vector<std::string>& known);

}  // namespace tardigrad
