#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "runtime/objective/parameters.h"

namespace tardigrad {

/// Where a model is.
struct SavedModel {
  std::filesystem::path path;
  std::string
      trouble;  ///< why it is not where it was to be, in a line that says where it is; empty if it is there
};

/// What there is to say of a file name whose ending promises another format than safetensors: a line; else
/// nothing.
std::string note_on_format(const std::filesystem::path& path);

/// Writes a model file, and rather than losing the model writes it under another name: `FILE.rescued` in the
/// folder it was meant for, the current one or that of temporary files, or `model.safetensors.rescued` where
/// FILE is a stream (output_path.h); an older file there is not replaced.
/// Throws std::runtime_error where none of them can be written.
SavedModel save_model(const std::filesystem::path& path, const ParameterLayout& layout,
                      std::span<const float> model);

}  // namespace tardigrad
