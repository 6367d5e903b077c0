#include "models/cuda/layers/matmul.h"

#include <algorithm>
#include <array>
#include <span>

#include "models/cuda/layers/fastest.h"

namespace tardigrad::models::cuda {
namespace {

constexpr std::uint32_t alignment = 16;  // bytes; of everything a product reads and writes

cudaDataType_t type_of(Element element) { return element == Element::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

constexpr int max_candidates = 8;

class Preferences {
 public:
  explicit Preferences(Device device) : device_(device) {
    TARDIGRAD_CUDA_CHECK(cublasLtMatmulPreferenceCreate(preference_.receive()), device);
  }

  template <typename Value>
  void set(cublasLtMatmulPreferenceAttributes_t attribute, const Value& value) {
    TARDIGRAD_CUDA_CHECK(
        cublasLtMatmulPreferenceSetAttribute(preference_.get(), attribute, &value, sizeof(value)), device_);
  }

  cublasLtMatmulPreference_t get() const { return preference_.get(); }

 private:
  Device device_;
  Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> preference_;
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
  a_ = shape.transpose_a ? layout(shape.input, shape.k, shape.m) : layout(shape.input, shape.m, shape.k);
  b_ = shape.transpose_b ? layout(shape.input, shape.n, shape.k) : layout(shape.input, shape.k, shape.n);
  d_ = layout(shape.output, shape.m, shape.n);
}

template <typename Value>
void Matmul::set(cublasLtMatmulDescAttributes_t attribute, const Value& value) const {
  TARDIGRAD_CUDA_CHECK(cublasLtMatmulDescSetAttribute(description_.get(), attribute, &value, sizeof(value)),
                       device_);
}

/// The one that belongs to the description; the heuristics look at its alignment.
void Matmul::set_bias(const MatmulArguments& arguments) const {
  if (shape_.epilogue == CUBLASLT_EPILOGUE_DEFAULT) return;
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, arguments.bias);
}

Matmul::Layout Matmul::layout(Element element, int rows, int columns) const {
  Layout layout;
  TARDIGRAD_CUDA_CHECK(
      cublasLtMatrixLayoutCreate(layout.receive(), type_of(element), static_cast<std::uint64_t>(rows),
                                 static_cast<std::uint64_t>(columns), rows),
      device_);
  return layout;
}

std::optional<MatmulAlgorithm> Matmul::choose(const Execution& execution, const Search& search,
                                              const MatmulArguments& arguments) const {
  set_bias(arguments);
  const std::vector<MatmulAlgorithm> algorithms = candidates(execution, search);
  const auto run = [&](std::size_t i) {  // the heuristics are not always right
    return enqueue(execution, arguments, algorithms[i]) == CUBLAS_STATUS_SUCCESS;
  };
  if (!search.deterministic) {
    const auto fastest = fastest_of(device_, execution.stream, algorithms.size(), run);
    return fastest ? std::optional(algorithms[*fastest]) : std::nullopt;
  }
  for (std::size_t i = 0; i < algorithms.size(); ++i) {
    if (run(i)) return algorithms[i];
  }
  return std::nullopt;
}

/// In the order of their promise.
std::vector<MatmulAlgorithm> Matmul::candidates(const Execution& execution, const Search& search) const {
  Preferences preferences(device_);
  preferences.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                  static_cast<std::uint64_t>(std::min(search.workspace_limit, execution.workspace_bytes)));
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
  std::array<cublasLtMatmulHeuristicResult_t, max_candidates> results{};
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(execution.cublas, description_.get(), a_.get(), b_.get(), d_.get(),
                                     d_.get(), preferences.get(), max_candidates, results.data(), &found);
  std::vector<MatmulAlgorithm> algorithms;
  if (status != CUBLAS_STATUS_SUCCESS) return algorithms;  // it has several words for "not supported"
  for (const auto& result : std::span(results).first(static_cast<std::size_t>(found))) {
    if (result.state == CUBLAS_STATUS_SUCCESS) algorithms.push_back({result.algo, result.workspaceSize});
  }
  return algorithms;
}

void Matmul::run(const Execution& execution, const MatmulArguments& arguments) const {
  set_bias(arguments);
  tardigrad::cuda::check(enqueue(execution, arguments, algorithm_), "cublasLtMatmul", device_);
}

cublasStatus_t Matmul::enqueue(const Execution& execution, const MatmulArguments& arguments,
                               const MatmulAlgorithm& algorithm) const {
  constexpr float one = 1;
  constexpr float zero = 0;
  return cublasLtMatmul(execution.cublas, description_.get(), &one, arguments.a, a_.get(), arguments.b,
                        b_.get(), &zero, arguments.d, d_.get(), arguments.d, d_.get(), &algorithm.algorithm,
                        execution.workspace, execution.workspace_bytes, execution.stream);
}

}  // namespace tardigrad::models::cuda
