#pragma once

#include <string>
#include <string_view>

#include "models/architecture.h"

namespace tardigrad::models {

/// Makes the architecture that a network file describes (networks/README.md has the format), for images of
/// that shape in so many classes. `name` is what the network is called, `file` what messages call the text:
/// a path, or the name of a built-in network. Throws std::invalid_argument, in one line with the file and the
/// line in it, for what is no TOML, unknown keys and layers, blocks that use themselves, layers that do not
/// fit, and a last layer that does not give a feature a class.
Architecture parse_network(const std::string& name, const std::string& file, std::string_view text,
                           const ImageShape& shape, int classes);

}  // namespace tardigrad::models
