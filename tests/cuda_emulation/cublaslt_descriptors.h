#pragma once

#include <cublasLt.h>

#include <cstdint>

#include "tests/cuda_emulation/number_formats.h"

namespace tardigrad::emulation {

/// What lies in cuBLASLt's opaque descriptors in the emulation; the defaults are those of cublasLt.h.
struct MatmulDescriptor {
  std::int32_t compute_type;
  std::int32_t scale_type;
  std::int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t transpose_a = CUBLAS_OP_N;
  std::int32_t transpose_b = CUBLAS_OP_N;
  std::int32_t transpose_c = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  std::int32_t bias_type = -1;
  std::int32_t multiprocessors = 0;
  void* bias = nullptr;
  void* aux = nullptr;
  std::int64_t aux_ld = 0;
};

struct MatrixLayout {
  std::uint32_t type;
  std::int32_t order = CUBLASLT_ORDER_COL;
  std::uint64_t rows;
  std::uint64_t columns;
  std::int64_t ld;
  std::int32_t batch_count = 1;
  std::int64_t batch_stride = 0;

  Format format() const { return type == CUDA_R_16BF ? Format::bf16 : Format::fp32; }
  /// Of element (i, j), which is at i·row_stride + j·column_stride.
  std::size_t row_stride() const { return order == CUBLASLT_ORDER_ROW ? static_cast<std::size_t>(ld) : 1; }
  std::size_t column_stride() const { return order == CUBLASLT_ORDER_ROW ? 1 : static_cast<std::size_t>(ld); }
  /// The bytes from the first element to the last.
  std::size_t bytes() const {
    return ((rows - 1) * row_stride() + (columns - 1) * column_stride() + 1) * bytes_of(format());
  }
};

struct MatmulPreference {
  std::uint32_t search_mode = CUBLASLT_SEARCH_BEST_FIT;
  std::uint32_t reduction_schemes = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::uint64_t workspace_bytes = 0;
  std::uint64_t implementations = ~std::uint64_t{0};
  std::uint32_t alignment_a = 256;
  std::uint32_t alignment_b = 256;
  std::uint32_t alignment_c = 256;
  std::uint32_t alignment_d = 256;
};

/// The emulation's view of a descriptor.
inline MatmulDescriptor& view(cublasLtMatmulDesc_t d) {
  return *reinterpret_cast<MatmulDescriptor*>(d->data);
}
inline MatrixLayout& view(cublasLtMatrixLayout_t d) { return *reinterpret_cast<MatrixLayout*>(d->data); }
inline MatmulPreference& view(cublasLtMatmulPreference_t d) {
  return *reinterpret_cast<MatmulPreference*>(d->data);
}

}  // namespace tardigrad::emulation
