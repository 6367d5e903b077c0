#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "runtime/objective/parameters.h"

namespace tardigrad {

/// Reads a model of this layout into values [d] from a safetensors file that any program may have written,
/// which may be a pipe: tensors are F32, F16, BF16 or F64, and their names may have "module." and
/// "_orig_mod." before them, as PyTorch's DataParallel and torch.compile put them there.
///
/// Returns what was done to it, for people: "2 tensors converted from F16"; empty if nothing was. Throws
/// std::invalid_argument naming the file, and the tensor, as load_safetensors() does, with what the file has
/// where its tensors are others; and naming the element that is not finite, or beyond the range of floats.
std::string import_model(const std::filesystem::path& path, const ParameterLayout& layout,
                         std::span<float> values);

}  // namespace tardigrad
