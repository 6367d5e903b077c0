// The functions of cuBLASLt that we call, each of which loads the library when the first of them is called.
// Linked, it would take 0.4 s of processor time and 212 MB of every start of a program, also of those that
// see no GPU.
//
// Programs link this in the place of the library itself (runtime/CMakeLists.txt), the emulation in the place
// of both.

#include <cublasLt.h>
#include <dlfcn.h>
#include <fmt/core.h>

#include <string>

namespace {

constexpr const char* soname = TARDIGRAD_CUBLASLT_SONAME;
constexpr const char* path_at_build = TARDIGRAD_CUBLASLT_PATH;

struct Library {
  void* handle = nullptr;
  std::string trouble;  // why it could not be loaded, or lacks a function
};

Library& library() {
  static Library library = [] {
    for (const char* name : {soname, path_at_build}) {
      if (void* const handle = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return Library{handle, ""};
    }
    return Library{nullptr, fmt::format("cuBLAS cannot be loaded: {}", dlerror())};
  }();
  return library;
}

/// Null where there is none; then cublasLtGetStatusString() says why.
template <typename Function>
Function* find(const char* name) {
  Library& from = library();
  if (from.handle == nullptr) return nullptr;
  void* const found = dlsym(from.handle, name);
  if (found == nullptr) from.trouble = fmt::format("{} has no {}", soname, name);
  return reinterpret_cast<Function*>(found);
}

}  // namespace

/// Defines `name` with these parameters, as the header declares it: it calls the library's.
#define TARDIGRAD_FORWARD(name, parameters, arguments)                               \
  cublasStatus_t CUBLASWINAPI name parameters {                                      \
    static auto* const function = find<decltype(name)>(#name);                       \
    return function != nullptr ? function arguments : CUBLAS_STATUS_NOT_INITIALIZED; \
  }

extern "C" {

const char* CUBLASWINAPI cublasLtGetStatusString(cublasStatus_t status) {
  static auto* const function = find<decltype(cublasLtGetStatusString)>("cublasLtGetStatusString");
  const Library& from = library();
  return function != nullptr && from.trouble.empty() ? function(status) : from.trouble.c_str();
}

size_t CUBLASWINAPI cublasLtGetVersion() {
  static auto* const function = find<decltype(cublasLtGetVersion)>("cublasLtGetVersion");
  return function != nullptr ? function() : 0;
}

TARDIGRAD_FORWARD(cublasLtCreate, (cublasLtHandle_t * handle), (handle))
TARDIGRAD_FORWARD(cublasLtDestroy, (cublasLtHandle_t handle), (handle))

TARDIGRAD_FORWARD(cublasLtMatrixLayoutCreate,
                  (cublasLtMatrixLayout_t * layout, cudaDataType type, uint64_t rows, uint64_t columns,
                   int64_t leading_dimension),
                  (layout, type, rows, columns, leading_dimension))
TARDIGRAD_FORWARD(cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t layout), (layout))

TARDIGRAD_FORWARD(cublasLtMatmulDescCreate,
                  (cublasLtMatmulDesc_t * description, cublasComputeType_t compute, cudaDataType_t scale),
                  (description, compute, scale))
TARDIGRAD_FORWARD(cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t description), (description))
TARDIGRAD_FORWARD(cublasLtMatmulDescSetAttribute,
                  (cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute,
                   const void* value, size_t bytes),
                  (description, attribute, value, bytes))

TARDIGRAD_FORWARD(cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t * preference), (preference))
TARDIGRAD_FORWARD(cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t preference), (preference))
TARDIGRAD_FORWARD(cublasLtMatmulPreferenceSetAttribute,
                  (cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
                   const void* value, size_t bytes),
                  (preference, attribute, value, bytes))

TARDIGRAD_FORWARD(cublasLtMatmulAlgoGetHeuristic,
                  (cublasLtHandle_t handle, cublasLtMatmulDesc_t description, cublasLtMatrixLayout_t a,
                   cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                   cublasLtMatmulPreference_t preference, int most, cublasLtMatmulHeuristicResult_t* results,
                   int* count),
                  (handle, description, a, b, c, d, preference, most, results, count))
TARDIGRAD_FORWARD(cublasLtMatmul,
                  (cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void* alpha,
                   const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                   cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                   cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                   const cublasLtMatmulAlgo_t* algorithm, void* workspace, size_t workspace_bytes,
                   cudaStream_t stream),
                  (handle, description, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout,
                   algorithm, workspace, workspace_bytes, stream))

}  // extern "C"
