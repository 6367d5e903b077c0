#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace tardigrad {

/// The commit that the program is of, with "-changed" behind it where the sources were not as committed;
/// empty where nobody knows.
std::string commit_of_build();

/// How the program was built: type, compiler, flags, and what it was built with.
nlohmann::ordered_json build_of_program();

/// When and where this is: "date", in UTC as of ISO 8601, and "host".
nlohmann::ordered_json date_and_host();

}  // namespace tardigrad
