#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace tardigrad {

/// Tells whether two run records are of network files with the same layers, wherever these files lie.
bool is_same_network(const nlohmann::ordered_json& before, const nlohmann::ordered_json& run);

/// Throws std::invalid_argument, beginning with `what`, where they are of files with others.
void require_same_network(const std::string& what, const nlohmann::ordered_json& before,
                          const nlohmann::ordered_json& run);

}  // namespace tardigrad
