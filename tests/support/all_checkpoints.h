#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "runtime/checkpoint/checkpoints.h"

namespace tardigrad::testing {

/// Returns options that have a run take checkpoints into that folder, and keep all of them.
inline CheckpointOptions all_checkpoints_in(const std::filesystem::path& folder,
                                            std::optional<std::uint64_t> every_updates = {}) {
  CheckpointOptions options;
  options.folder = folder;
  options.every_updates = every_updates;
  options.keep = 1000;
  options.run_json = "{}";
  return options;
}

}  // namespace tardigrad::testing
