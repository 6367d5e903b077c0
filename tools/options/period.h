#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tardigrad {

/// Says how often something is done: every so many updates, or every so much time.
struct Period {
  std::optional<std::uint64_t> updates = {};
  std::optional<double> time = {};  ///< in seconds, or in what else the run's clock counts
  std::string text = {};            ///< as somebody gave it, which is what records hold
};

}  // namespace tardigrad
