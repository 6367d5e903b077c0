#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "kernels/bf16.h"

namespace tardigrad {

enum class ElementType { f32, bf16 };

/// Returns the name that safetensors have for the type.
inline const char* dtype_of(ElementType type) { return type == ElementType::f32 ? "F32" : "BF16"; }

/// Returns the bytes of an element.
inline std::size_t element_bytes(ElementType type) {
  return type == ElementType::f32 ? sizeof(float) : sizeof(Bf16);
}

/// Gives back the vectors of a run that a snapshot has taken, by the names of their tensors, [d] and
/// [rows, d].
class VectorSource {
 public:
  VectorSource() = default;
  virtual ~VectorSource() = default;

  /// Reads values ← the elements of that row from `begin` on. Throws std::invalid_argument, naming the
  /// tensor, if they are not there.
  virtual void read(const std::string& name, std::size_t row, std::span<float> values,
                    std::size_t begin = 0) = 0;
  virtual void read(const std::string& name, std::size_t row, std::span<Bf16> values,
                    std::size_t begin = 0) = 0;

 protected:
  VectorSource(const VectorSource&) = default;
  VectorSource(VectorSource&&) = default;
  VectorSource& operator=(const VectorSource&) = default;
  VectorSource& operator=(VectorSource&&) = default;
};

}  // namespace tardigrad
