#pragma once

#include <string_view>

namespace tardigrad::models {

/// Says what the layers of a network compute in, the most exact first. Parameters and the gradients that
/// leave the network are fp32 in every case, and so is every sum.
enum class Precision {
  fp32,  ///< IEEE single precision throughout.
  tf32,  ///< Operands of convolutions and matrix products rounded to the 10 bits of TF32, on tensor cores.
  bf16,  ///< Activations, their gradients and working weights in bf16.
};

/// Reads "fp32", "tf32" or "bf16". Throws std::invalid_argument saying what was expected.
Precision parse_precision(std::string_view text);

/// Returns "fp32", "tf32" or "bf16".
std::string_view name_of(Precision precision);

/// Throws std::invalid_argument unless a CPU computes in that precision: in fp32.
void require_cpu_precision(Precision precision);

}  // namespace tardigrad::models
