#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "models/cuda/blueprint/blueprint.h"
#include "models/cuda/layers/handles.h"

namespace tardigrad::models::cuda {

/// Describes a matrix product as cuBLASLt sees it, all matrices column-major and packed: D = op(A) · op(B), D
/// [m, n], op(A) [m, k], op(B) [k, n], and what becomes of D on its way to memory.
struct MatmulShape {
  int m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  Element input = Element::f32;   ///< Of A and B.
  Element output = Element::f32;  ///< Of D, and of the bias or its gradient.
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
};

struct MatmulAlgorithm {
  cublasLtMatmulAlgo_t algorithm{};
  std::size_t workspace_bytes = 0;
};

/// Holds what a product reads and writes. Everything is aligned to 16 bytes.
struct MatmulArguments {
  const void* a = nullptr;
  const void* b = nullptr;
  void* d = nullptr;
  const void* bias = nullptr;  ///< Or where its gradient goes.
};

/// Computes a matrix product by cuBLASLt. fp32 is IEEE; in tf32 operands are rounded; bf16 has bf16 operands;
/// sums are in fp32.
class Matmul {
 public:
  Matmul(Device device, const MatmulShape& shape, Precision precision);

  /// Chooses, of the algorithms that cuBLASLt's heuristics name, the fastest, as measured on the arguments,
  /// which may hold anything and are overwritten; for a deterministic search the first that works. Returns
  /// nothing where there is none for this shape and epilogue.
  std::optional<MatmulAlgorithm> choose(const Execution& execution, const Search& search,
                                        const MatmulArguments& arguments) const;

  /// Takes an algorithm. It must be called before run().
  void use(const MatmulAlgorithm& algorithm) { algorithm_ = algorithm; }

  void run(const Execution& execution, const MatmulArguments& arguments) const;

 private:
  using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
  using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;

  std::vector<MatmulAlgorithm> candidates(const Execution& execution, const Search& search) const;
  cublasStatus_t enqueue(const Execution& execution, const MatmulArguments& arguments,
                         const MatmulAlgorithm& algorithm) const;

  template <typename Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) const;
  void set_bias(const MatmulArguments& arguments) const;
  Layout layout(Element element, int rows, int columns) const;

  Device device_;
  MatmulShape shape_;
  Description description_;
  Layout a_;
  Layout b_;
  Layout d_;
  MatmulAlgorithm algorithm_;
};

}  // namespace tardigrad::models::cuda
