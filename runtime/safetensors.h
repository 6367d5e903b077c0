#pragma once

#include <filesystem>
#include <span>

#include "runtime/parameters.h"

namespace tardigrad {

// Model files: safetensors (https://github.com/huggingface/safetensors, format of the 0.3 series and later),
// all tensors fp32 ("F32"), named as the layout names them. PyTorch loads them as a state dict.

/// Writes values [d] beside `path` and renames, so that `path` is never half-written. Throws
/// std::runtime_error naming the path if it cannot be written.
void save_safetensors(const std::filesystem::path& path, const ParameterLayout& layout,
                      std::span<const float> values);

/// Reads exactly the tensors of the layout into values [d], in whatever order the file has them. Throws
/// std::invalid_argument naming the file, and the tensor, if it is not a safetensors file, claims more than
/// it holds, or a tensor is missing, unknown, not F32 or of another shape.
void load_safetensors(const std::filesystem::path& path, const ParameterLayout& layout,
                      std::span<float> values);

}  // namespace tardigrad
