// cublasLtMatmul(): what it accepts, which algorithms there are, and running them.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "tests/cuda_emulation/matmul.h"

namespace tardigrad::emulation {
namespace {

constexpr std::uint64_t algorithm_magic = 0x7461726469677261;
static_assert(sizeof(MatmulAlgorithm) <= sizeof(cublasLtMatmulAlgo_t));

// In the order of the heuristics, the fastest first.
constexpr MatmulAlgorithm all_algorithms[] = {
    {algorithm_magic, 21, 1, 16},
    {algorithm_magic, 24, 4, 16},
    {algorithm_magic, 0, 1, 0},
    {algorithm_magic, 1, 3, 0},
};

bool types_supported(const Matmul& p) {
  const auto a = p.a_layout.type;
  const auto d = p.d_layout.type;
  if (a != p.b_layout.type || p.how.scale_type != CUDA_R_32F) return false;
  switch (p.how.compute_type) {
    case CUBLAS_COMPUTE_32F:
    case CUBLAS_COMPUTE_32F_PEDANTIC:
      return (a == CUDA_R_32F && d == CUDA_R_32F) ||
             (a == CUDA_R_16BF && (d == CUDA_R_16BF || d == CUDA_R_32F));
    case CUBLAS_COMPUTE_32F_FAST_TF32:
      return a == CUDA_R_32F && d == CUDA_R_32F;
    default:
      return false;
  }
}

bool layout_valid(const MatrixLayout& layout) {
  if (layout.rows == 0 || layout.columns == 0 || layout.ld < 1) return false;
  const auto contiguous = layout.order == CUBLASLT_ORDER_ROW ? layout.columns : layout.rows;
  return static_cast<std::uint64_t>(layout.ld) >= contiguous;
}

bool order_supported(const MatrixLayout& layout) {
  return (layout.order == CUBLASLT_ORDER_COL || layout.order == CUBLASLT_ORDER_ROW) &&
         layout.batch_count == 1;
}

cublasStatus_t check_epilogue(const Matmul& p) {
  constexpr std::array<std::uint32_t, 10> supported{
      CUBLASLT_EPILOGUE_DEFAULT,     CUBLASLT_EPILOGUE_RELU,     CUBLASLT_EPILOGUE_BIAS,
      CUBLASLT_EPILOGUE_RELU_BIAS,   CUBLASLT_EPILOGUE_RELU_AUX, CUBLASLT_EPILOGUE_DRELU,
      CUBLASLT_EPILOGUE_DRELU_BGRAD, CUBLASLT_EPILOGUE_BGRADA,   CUBLASLT_EPILOGUE_RELU_AUX_BIAS,
      CUBLASLT_EPILOGUE_BGRADB};
  if (std::ranges::find(supported, p.how.epilogue) == supported.end()) return CUBLAS_STATUS_NOT_SUPPORTED;
  // "Rows of D" and bits along them are meant in column order; no row-major kernels with these are
  // documented.
  if ((p.uses_bias() || p.uses_mask()) && p.d_layout.order != CUBLASLT_ORDER_COL) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (p.uses_mask()) {
    const auto ld = p.how.aux_ld;
    if (ld % 128 != 0 || ld < static_cast<std::int64_t>(p.rows())) return CUBLAS_STATUS_INVALID_VALUE;
  }
  // Bias and its gradient are of D's type.
  const bool same_type =
      p.how.bias_type == -1 || static_cast<std::uint32_t>(p.how.bias_type) == p.d_layout.type;
  return p.uses_bias() && !same_type ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

bool aligned(const void* pointer, std::uint32_t alignment) {
  return std::bit_cast<std::uintptr_t>(pointer) % alignment == 0;
}

/// Whether leading dimensions and the pointers of the epilogue are aligned as the algorithm needs them.
bool fits(const Matmul& p, const MatmulAlgorithm& algorithm) {
  if (algorithm.alignment == 0) return true;
  for (const MatrixLayout* layout : {&p.a_layout, &p.b_layout, &p.c_layout, &p.d_layout}) {
    if (static_cast<std::size_t>(layout->ld) * bytes_of(layout->format()) % algorithm.alignment != 0) {
      return false;
    }
  }
  return !p.uses_bias() || aligned(p.how.bias, algorithm.alignment);
}

/// Whether the pointers of a call are aligned, as the algorithm needs it or at least as their elements do.
bool pointers_aligned(const Matmul& p, const MatmulAlgorithm& algorithm) {
  const auto good = [&](const void* pointer, Format format) {
    return aligned(pointer, std::max(algorithm.alignment, static_cast<std::uint32_t>(bytes_of(format))));
  };
  return good(p.a, p.a_layout.format()) && good(p.b, p.b_layout.format()) && good(p.c, p.c_layout.format()) &&
         good(p.d, p.d_layout.format()) && (!p.uses_bias() || good(p.how.bias, p.d_layout.format())) &&
         (!p.uses_mask() || aligned(p.how.aux, 16));
}

bool preferred(const Matmul& p, const MatmulPreference& preference, const MatmulAlgorithm& algorithm) {
  const std::uint32_t least = std::min(
      {preference.alignment_a, preference.alignment_b, preference.alignment_c, preference.alignment_d});
  if (least < algorithm.alignment || !fits(p, algorithm)) return false;
  if (workspace_bytes(p, algorithm) > preference.workspace_bytes) return false;
  return algorithm.splits == 1 ||
         (preference.reduction_schemes & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) != 0;
}

std::optional<MatmulAlgorithm> read(const cublasLtMatmulAlgo_t* opaque) {
  MatmulAlgorithm algorithm{};
  if (opaque) std::memcpy(&algorithm, opaque->data, sizeof algorithm);
  return algorithm.magic == algorithm_magic ? std::optional(algorithm) : std::nullopt;
}

/// The algorithm of a call that names none: the heuristics' first for what the call gives.
std::optional<MatmulAlgorithm> choose(const Matmul& p, std::size_t workspace) {
  for (const MatmulAlgorithm& algorithm : all_algorithms) {
    if (preferred(p, {.workspace_bytes = workspace}, algorithm) && pointers_aligned(p, algorithm)) {
      return algorithm;
    }
  }
  return std::nullopt;
}

Matmul describe(cublasLtMatmulDesc_t how, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
  return {
      .how = view(how), .a_layout = view(a), .b_layout = view(b), .c_layout = view(c), .d_layout = view(d)};
}

/// Alpha and beta; false if one is missing.
bool read_scales(Matmul& p, const void* alpha, const void* beta) {
  if (!alpha || !beta) return false;
  const auto* a = static_cast<const float*>(alpha);
  const auto* b = static_cast<const float*>(beta);
  if (p.how.pointer_mode == CUBLASLT_POINTER_MODE_DEVICE) {
    p.alpha_on_device = a;
    p.beta_on_device = b;
  } else {
    p.alpha = *a;
    p.beta = *b;
  }
  return true;
}

bool pointers_valid(const Matmul& p) {
  if (!p.a || !p.b || !p.d) return false;
  const bool reads_c = p.beta_on_device || p.beta != 0;
  if (reads_c && !p.c) return false;
  if (p.c == p.d && p.c_layout.ld != p.d_layout.ld) return false;
  return (!p.uses_bias() || p.how.bias) && (!p.uses_mask() || p.how.aux);
}

}  // namespace

cublasStatus_t check(const Matmul& p) {
  const auto& [rows, columns] = std::pair(p.d_layout.rows, p.d_layout.columns);
  for (const MatrixLayout* layout : {&p.a_layout, &p.b_layout, &p.c_layout, &p.d_layout}) {
    if (!layout_valid(*layout)) return CUBLAS_STATUS_INVALID_VALUE;
    if (!order_supported(*layout)) return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  const bool a_as_is = p.how.transpose_a == CUBLAS_OP_N;
  const bool b_as_is = p.how.transpose_b == CUBLAS_OP_N;
  if ((a_as_is ? p.a_layout.rows : p.a_layout.columns) != rows ||
      (b_as_is ? p.b_layout.columns : p.b_layout.rows) != columns ||
      (b_as_is ? p.b_layout.rows : p.b_layout.columns) != p.depth()) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (p.c_layout.rows != rows || p.c_layout.columns != columns || p.c_layout.type != p.d_layout.type ||
      p.c_layout.order != p.d_layout.order) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const bool modes = p.how.transpose_c == CUBLAS_OP_N && (p.how.pointer_mode == CUBLASLT_POINTER_MODE_HOST ||
                                                          p.how.pointer_mode == CUBLASLT_POINTER_MODE_DEVICE);
  if (!types_supported(p) || !modes) return CUBLAS_STATUS_NOT_SUPPORTED;
  return check_epilogue(p);
}

}  // namespace tardigrad::emulation

using namespace tardigrad::emulation;

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t how,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int* returned) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!how || !a || !b || !c || !d || !preference || !results || !returned || wanted < 1) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  *returned = 0;
  const Matmul p = describe(how, a, b, c, d);
  if (const cublasStatus_t status = check(p); status != CUBLAS_STATUS_SUCCESS) return status;
  for (const MatmulAlgorithm& algorithm : all_algorithms) {
    if (*returned == wanted || !preferred(p, view(preference), algorithm)) continue;
    cublasLtMatmulHeuristicResult_t& result = results[(*returned)++];
    result = {};
    std::memcpy(result.algo.data, &algorithm, sizeof algorithm);
    result.workspaceSize = workspace_bytes(p, algorithm);
    result.state = CUBLAS_STATUS_SUCCESS;
    result.wavesCount = 1;
  }
  return *returned > 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* opaque,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value, size_t bytes, size_t* written) {
  const auto algorithm = read(opaque);
  if (!algorithm || (bytes == 0 ? !written : !value || bytes != 4)) return CUBLAS_STATUS_INVALID_VALUE;
  const std::int32_t scheme = algorithm->splits > 1 ? CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE : 0;
  std::int32_t answer = 0;
  switch (attribute) {
    case CUBLASLT_ALGO_CONFIG_ID:
      answer = algorithm->id;
      break;
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
      answer = algorithm->splits;
      break;
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
      answer = scheme;
      break;
    default:
      return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (written) *written = sizeof answer;
  if (bytes != 0) std::memcpy(value, &answer, sizeof answer);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t how, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* opaque, void* workspace, size_t workspace_size,
                              cudaStream_t stream) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!how || !a_layout || !b_layout || !c_layout || !d_layout) return CUBLAS_STATUS_INVALID_VALUE;
  Matmul p = describe(how, a_layout, b_layout, c_layout, d_layout);
  if (const cublasStatus_t status = check(p); status != CUBLAS_STATUS_SUCCESS) return status;
  p.a = a;
  p.b = b;
  p.c = c;
  p.d = d;
  p.workspace = workspace;
  if (!read_scales(p, alpha, beta) || !pointers_valid(p)) return CUBLAS_STATUS_INVALID_VALUE;
  // The documentation wants the workspace aligned to 256 bytes.
  if (workspace_size > 0 && (!workspace || !aligned(workspace, 256))) return CUBLAS_STATUS_INVALID_VALUE;
  const auto algorithm = opaque ? read(opaque) : choose(p, workspace_size);
  if (!algorithm) return opaque ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_NOT_SUPPORTED;
  if (!fits(p, *algorithm) || !pointers_aligned(p, *algorithm)) return CUBLAS_STATUS_INVALID_VALUE;
  const std::size_t needed = workspace_bytes(p, *algorithm);
  if (needed > workspace_size) return CUBLAS_STATUS_INVALID_VALUE;
  const cudaError_t status = enqueue_call(stream, "cublasLtMatmul", operands(p, needed),
                                          [p, chosen = *algorithm] { compute(p, chosen); });
  return status == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
