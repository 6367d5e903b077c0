#include "tools/outputs/save_model.h"

#include <fmt/format.h>

#include <stdexcept>
#include <system_error>
#include <vector>

#include "runtime/base/output_path.h"
#include "runtime/checkpoint/safetensors.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;

/// The first such name in the folder that nothing has.
fs::path free_name(const fs::path& folder, const std::string& name) {
  std::error_code unreadable;
  fs::path path = folder / (name + ".rescued");
  for (int number = 2; fs::exists(path, unreadable); ++number) {
    path = folder / fmt::format("{}.rescued-{}", name, number);
  }
  return path;
}

/// A stream has no folder of its own.
std::vector<fs::path> refuges(const fs::path& path) {
  std::vector<fs::path> folders{path.has_parent_path() && !is_stream(path) ? path.parent_path() : ".", "."};
  std::error_code none;
  if (const fs::path temporary = fs::temp_directory_path(none); !none) folders.push_back(temporary);
  return folders;
}

}  // namespace

std::string note_on_format(const fs::path& path) {
  const std::string ending = path.extension();
  if (ending.empty() || ending == ".safetensors") return "";
  return fmt::format(
      "--save {}: the file is safetensors all the same, as safetensors.torch.load_file() reads it in Python",
      path.string());
}

SavedModel save_model(const fs::path& path, const ParameterLayout& layout, std::span<const float> model) {
  std::string reason;
  try {
    save_safetensors(path, layout, model);
    return {path, ""};
  } catch (const std::runtime_error& error) {
    reason = fmt::format("--save {}", error.what());
  }
  const std::string name = is_stream(path) ? "model.safetensors" : path.filename().string();
  for (const fs::path& folder : refuges(path)) {
    const fs::path refuge = free_name(folder, name);
    try {
      save_safetensors(refuge, layout, model);
      return {refuge, fmt::format("{}; the model is in {}", reason,
                                  fs::absolute(refuge).lexically_normal().string())};
    } catch (const std::runtime_error&) {  // the first reason says more
    }
  }
  throw std::runtime_error(reason + ", nor anywhere else");
}

}  // namespace tardigrad
