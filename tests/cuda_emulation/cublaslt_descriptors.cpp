// Descriptors of cuBLASLt and their attributes, as cublasLt.h documents them.
#include "tests/cuda_emulation/cublaslt_descriptors.h"

#include <cstring>
#include <new>

namespace tardigrad::emulation {
namespace {

static_assert(sizeof(MatmulDescriptor) <= sizeof(cublasLtMatmulDescOpaque_t));
static_assert(sizeof(MatrixLayout) <= sizeof(cublasLtMatrixLayoutOpaque_t));
static_assert(sizeof(MatmulPreference) <= sizeof(cublasLtMatmulPreferenceOpaque_t));

/// Where an attribute is stored; no bytes where the emulation doesn't know it.
struct Field {
  void* data = nullptr;
  std::size_t bytes = 0;

  Field() = default;
  template <typename Value>
  explicit Field(Value& value) : data(&value), bytes(sizeof value) {}
};

Field field(MatmulDescriptor& d, int attribute) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
      return Field(d.compute_type);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
      return Field(d.scale_type);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
      return Field(d.pointer_mode);
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return Field(d.transpose_a);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return Field(d.transpose_b);
    case CUBLASLT_MATMUL_DESC_TRANSC:
      return Field(d.transpose_c);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return Field(d.epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return Field(d.bias);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return Field(d.bias_type);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return Field(d.aux);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return Field(d.aux_ld);
    case CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET:
      return Field(d.multiprocessors);
    default:
      return {};
  }
}

Field field(MatrixLayout& d, int attribute) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
      return Field(d.type);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
      return Field(d.order);
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
      return Field(d.rows);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
      return Field(d.columns);
    case CUBLASLT_MATRIX_LAYOUT_LD:
      return Field(d.ld);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return Field(d.batch_count);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return Field(d.batch_stride);
    default:
      return {};
  }
}

Field field(MatmulPreference& d, int attribute) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
      return Field(d.search_mode);
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return Field(d.workspace_bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return Field(d.reduction_schemes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return Field(d.alignment_a);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return Field(d.alignment_b);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return Field(d.alignment_c);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return Field(d.alignment_d);
    case CUBLASLT_MATMUL_PREF_IMPL_MASK:
      return Field(d.implementations);
    default:
      return {};
  }
}

template <typename Opaque>
cublasStatus_t set(Opaque* descriptor, int attribute, const void* value, size_t bytes) {
  if (!descriptor || !value) return CUBLAS_STATUS_INVALID_VALUE;
  const Field target = field(view(descriptor), attribute);
  if (target.bytes == 0 || target.bytes != bytes) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(target.data, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename Opaque>
cublasStatus_t get(Opaque* descriptor, int attribute, void* value, size_t bytes, size_t* written) {
  if (!descriptor || (bytes == 0 ? !written : !value)) return CUBLAS_STATUS_INVALID_VALUE;
  const Field source = field(view(descriptor), attribute);
  if (source.bytes == 0 || (bytes != 0 && source.bytes != bytes)) return CUBLAS_STATUS_INVALID_VALUE;
  if (written) *written = source.bytes;
  if (bytes != 0) std::memcpy(value, source.data, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename Opaque, typename Value>
cublasStatus_t initialise(Opaque* descriptor, std::size_t size, const Value& value) {
  if (!descriptor) return CUBLAS_STATUS_INVALID_VALUE;
  if (size < sizeof(Opaque)) return CUBLAS_STATUS_ALLOC_FAILED;
  *descriptor = {};
  new (descriptor->data) Value(value);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename Opaque, typename Value>
cublasStatus_t create(Opaque** descriptor, const Value& value) {
  if (!descriptor) return CUBLAS_STATUS_INVALID_VALUE;
  *descriptor = new Opaque;
  return initialise(*descriptor, sizeof(Opaque), value);
}

template <typename Opaque>
cublasStatus_t destroy(Opaque* descriptor) {
  delete descriptor;
  return CUBLAS_STATUS_SUCCESS;
}

MatrixLayout layout(cudaDataType type, uint64_t rows, uint64_t columns, int64_t ld) {
  return {.type = static_cast<std::uint32_t>(type), .rows = rows, .columns = columns, .ld = ld};
}

}  // namespace
}  // namespace tardigrad::emulation

using namespace tardigrad::emulation;

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t descriptor, size_t size,
                                               cublasComputeType_t compute_type, cudaDataType_t scale_type) {
  return initialise(descriptor, size,
                    MatmulDescriptor{.compute_type = compute_type, .scale_type = scale_type});
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* descriptor, cublasComputeType_t compute_type,
                                        cudaDataType_t scale_type) {
  return create(descriptor, MatmulDescriptor{.compute_type = compute_type, .scale_type = scale_type});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t descriptor) { return destroy(descriptor); }
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t descriptor,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              size_t bytes) {
  return set(descriptor, attribute, value, bytes);
}
cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t descriptor,
                                              cublasLtMatmulDescAttributes_t attribute, void* value,
                                              size_t bytes, size_t* written) {
  return get(descriptor, attribute, value, bytes, written);
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t descriptor, size_t size,
                                                 cudaDataType type, uint64_t rows, uint64_t columns,
                                                 int64_t ld) {
  return initialise(descriptor, size, layout(type, rows, columns, ld));
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* descriptor, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
  return create(descriptor, layout(type, rows, columns, ld));
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t descriptor) { return destroy(descriptor); }
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t descriptor,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                size_t bytes) {
  return set(descriptor, attribute, value, bytes);
}
cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t descriptor,
                                                cublasLtMatrixLayoutAttribute_t attribute, void* value,
                                                size_t bytes, size_t* written) {
  return get(descriptor, attribute, value, bytes, written);
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t descriptor, size_t size) {
  return initialise(descriptor, size, MatmulPreference{});
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* descriptor) {
  return create(descriptor, MatmulPreference{});
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t descriptor) {
  return destroy(descriptor);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t descriptor,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  return set(descriptor, attribute, value, bytes);
}
cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t descriptor,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    void* value, size_t bytes, size_t* written) {
  return get(descriptor, attribute, value, bytes, written);
}
