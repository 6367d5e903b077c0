#include "models/precision.h"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <string>

#include "runtime/base/nearest_name.h"

namespace tardigrad::models {
namespace {

constexpr std::array<std::string_view, 3> names{"fp32", "tf32", "bf16"};

}  // namespace

Precision parse_precision(std::string_view text) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (text == names[i]) return static_cast<Precision>(i);
  }
  throw std::invalid_argument(unknown_name_message("precision", text, {names.begin(), names.end()}));
}

std::string_view name_of(Precision precision) { return names[static_cast<std::size_t>(precision)]; }

void require_cpu_precision(Precision precision) {
  if (precision == Precision::fp32) return;
  throw std::invalid_argument(
      fmt::format("precision {}: of GPUs only; expected fp32 on a CPU", name_of(precision)));
}

}  // namespace tardigrad::models
