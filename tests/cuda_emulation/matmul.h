#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/cuda_emulation/cublaslt_descriptors.h"
#include "tests/cuda_emulation/library_call.h"

namespace tardigrad::emulation {

/// How cublasLtMatmul() computes: what lies in a cublasLtMatmulAlgo_t in the emulation.
struct MatmulAlgorithm {
  std::uint64_t magic;  // tells one that cublasLtMatmulAlgoGetHeuristic() wrote from any other memory
  std::int32_t id;
  std::int32_t splits;      ///< parts of the inner dimension, added in their order
  std::uint32_t alignment;  ///< of pointers and leading dimensions in bytes; 0: that of their elements
};

/// D = epilogue(alpha·op(A)·op(B) + beta·C), all that a call needs, by value.
struct Matmul {
  MatmulDescriptor how;
  MatrixLayout a_layout, b_layout, c_layout, d_layout;
  const void* a = nullptr;
  const void* b = nullptr;
  const void* c = nullptr;
  void* d = nullptr;
  const float* alpha_on_device = nullptr;  ///< null where alpha and beta were on the host
  const float* beta_on_device = nullptr;
  float alpha = 1;
  float beta = 0;
  void* workspace = nullptr;

  std::size_t rows() const { return d_layout.rows; }        // m
  std::size_t columns() const { return d_layout.columns; }  // n
  std::size_t depth() const { return how.transpose_a == CUBLAS_OP_N ? a_layout.columns : a_layout.rows; }
  bool has(int epilogue) const { return (how.epilogue & static_cast<std::uint32_t>(epilogue)) != 0; }
  bool writes_mask() const { return has(CUBLASLT_EPILOGUE_RELU) && has(128); }
  bool reads_mask() const { return has(8); }
  bool uses_mask() const { return has(128); }
  bool reads_bias() const { return has(CUBLASLT_EPILOGUE_BIAS); }
  bool writes_bias() const { return has(16 | CUBLASLT_EPILOGUE_BGRADA | CUBLASLT_EPILOGUE_BGRADB); }
  bool uses_bias() const { return reads_bias() || writes_bias(); }
  std::size_t bias_length() const { return has(CUBLASLT_EPILOGUE_BGRADB) ? columns() : rows(); }
};

/// CUBLAS_STATUS_SUCCESS if the descriptors make sense together and cuBLASLt supports them: INVALID_VALUE or
/// NOT_SUPPORTED otherwise.
cublasStatus_t check(const Matmul& matmul);

/// Split sums are kept in the workspace, in fp32.
std::size_t workspace_bytes(const Matmul& matmul, const MatmulAlgorithm& algorithm);

std::vector<Operand> operands(const Matmul& matmul, std::size_t workspace_bytes);

/// Inputs are rounded to TF32 where the compute type says so; sums are in fp32.
void compute(const Matmul& matmul, const MatmulAlgorithm& algorithm);

}  // namespace tardigrad::emulation
