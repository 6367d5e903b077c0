#include "models/cuda/matmul.h"

#include <array>

namespace tardigrad::models::cuda {
namespace {

constexpr std::uint32_t alignment = 16;  // bytes; of everything a product reads and writes

cudaDataType_t type_of(Element element) { return element == Element::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

class Preferences {
 public:
  explicit Preferences(Device device) : device_(device) {
    TARDIGRAD_CUDA_CHECK(cublasLtMatmulPreferenceCreate(preference_.receive()), device);
  }

  template <class Value>
  void set(cublasLtMatmulPreferenceAttributes_t attribute, const Value& value) {
    TARDIGRAD_CUDA_CHECK(
        cublasLtMatmulPreferenceSetAttribute(preference_.get(), attribute, &value, sizeof(value)), device_);
  }

  cublasLtMatmulPreference_t get() const { return preference_.get(); }

 private:
  Device device_;
  Preference preference_;
};

}  // namespace

Matmul::Matmul(Device device, const MatmulShape& shape, Precision precision)
    : device_(device), shape_(shape) {
  const cublasComputeType_t compute =
      precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  TARDIGRAD_CUDA_CHECK(cublasLtMatmulDescCreate(description_.receive(), compute, CUDA_R_32F), device_);
  set(CUBLASLT_MATMUL_DESC_TRANSA, shape.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, shape.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, shape.epilogue);
  if (shape.mask_stride > 0) {
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, static_cast<std::int64_t>(shape.mask_stride));
  }
  a_ = shape.transpose_a ? layout(shape.input, shape.k, shape.m) : layout(shape.input, shape.m, shape.k);
  b_ = shape.transpose_b ? layout(shape.input, shape.n, shape.k) : layout(shape.input, shape.k, shape.n);
  d_ = layout(shape.output, shape.m, shape.n);
}

template <class Value>
void Matmul::set(cublasLtMatmulDescAttributes_t attribute, const Value& value) const {
  TARDIGRAD_CUDA_CHECK(
      cublasLtMatmulDescSetAttribute(description_.get(), attribute, &value, sizeof(value)), device_);
}

void Matmul::set_pointers(const void* bias, const void* mask) const {
  if (shape_.epilogue == CUBLASLT_EPILOGUE_DEFAULT) return;
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  if (shape_.mask_stride > 0) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, mask);
}

Matmul::Layout Matmul::layout(Element element, int rows, int columns) const {
  Layout layout;
  TARDIGRAD_CUDA_CHECK(
      cublasLtMatrixLayoutCreate(layout.receive(), type_of(element), static_cast<std::uint64_t>(rows),
                                 static_cast<std::uint64_t>(columns), rows),
      device_);
  return layout;
}

std::optional<MatmulAlgorithm> Matmul::choose(const Execution& execution, const Search& search) const {
  Preferences preferences(device_);
  preferences.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                  static_cast<std::uint64_t>(search.workspace_limit));
  for (const auto operand :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    preferences.set(operand, alignment);
  }
  if (search.deterministic) {
    // All but the one that adds up in the output, in an order that counters decide.
    preferences.set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                    static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE |
                                               CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE));
  }
  // The heuristics look at the alignment of these, and at nothing behind them.
  alignas(alignment) static const std::array<std::byte, alignment> somewhere{};
  set_pointers(somewhere.data(), somewhere.data());
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(execution.cublas, description_.get(), a_.get(), b_.get(), d_.get(),
                                     d_.get(), preferences.get(), 1, &result, &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && found == 0)) {
    return std::nullopt;
  }
  TARDIGRAD_CUDA_CHECK(status, device_);
  return MatmulAlgorithm{result.algo, result.workspaceSize};
}

void Matmul::run(const Execution& execution, const MatmulArguments& arguments) const {
  constexpr float one = 1;
  constexpr float zero = 0;
  set_pointers(arguments.bias, arguments.mask);
  TARDIGRAD_CUDA_CHECK(
      cublasLtMatmul(execution.cublas, description_.get(), &one, arguments.a, a_.get(), arguments.b, b_.get(),
                     &zero, arguments.d, d_.get(), arguments.d, d_.get(), &algorithm_.algorithm,
                     execution.workspace, execution.workspace_bytes, execution.stream),
      device_);
}

}  // namespace tardigrad::models::cuda
