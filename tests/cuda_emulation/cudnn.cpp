// The convolutions of cuDNN's legacy API: which algorithms there are, and running them.
#include <algorithm>
#include <memory>
#include <vector>

#include "tests/cuda_emulation/cudnn_convolution.h"
#include "tests/cuda_emulation/library_call.h"

namespace tardigrad::emulation {
namespace {

const Algorithm* find_algorithm(Direction direction, int id) {
  for (const Algorithm& algorithm : algorithms(direction)) {
    if (algorithm.id == id) return &algorithm;
  }
  return nullptr;
}

/// The convolution of a call, or why there is none.
struct Request {
  Convolution convolution;
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;

  Request(cudnnHandle_t handle, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
          cudnnTensorDescriptor_t y, cudnnConvolutionDescriptor_t how) {
    if (!handle || !x || !w || !y || !how) {
      status = cudnn_null_pointer();
      return;
    }
    convolution = {*x, *w, *y, *how};
    status = check(convolution);
  }
};

std::vector<Operand> operands(const Convolution& p, Direction direction, const ConvolutionData& data,
                              std::size_t workspace_needed) {
  const auto bytes = [](const cudnnTensorStruct& t) { return t.extent() * bytes_of(format_of(t.type)); };
  const std::size_t x = bytes(p.x);
  const std::size_t w = bytes(p.w.tensor());
  const std::size_t y = bytes(p.y);
  std::vector<Operand> result;
  switch (direction) {
    case Direction::forward:
      result = {{"x", data.first, x}, {"w", data.second, w}, {"y", data.out, y}};
      break;
    case Direction::backward_data:
      result = {{"w", data.first, w}, {"dy", data.second, y}, {"dx", data.out, x}};
      break;
    case Direction::backward_filter:
      result = {{"x", data.first, x}, {"dy", data.second, y}, {"dw", data.out, w}};
      break;
  }
  if (workspace_needed > 0) result.push_back({"workSpace", data.workspace, workspace_needed});
  return result;
}

constexpr const char* name_of(Direction direction) {
  switch (direction) {
    case Direction::forward:
      return "cudnnConvolutionForward";
    case Direction::backward_data:
      return "cudnnConvolutionBackwardData";
    default:
      return "cudnnConvolutionBackwardFilter";
  }
}

cudnnStatus_t launched(cudaError_t status) {
  if (status == cudaSuccess) return CUDNN_STATUS_SUCCESS;
  return cudnn_failure(CUDNN_STATUS_EXECUTION_FAILED_CUDART, cudaGetErrorString(status));
}

cudnnStatus_t run(cudnnHandle_t handle, const Request& request, Direction direction, int id,
                  const void* alpha, const void* beta, const ConvolutionData& data) {
  if (request.status != CUDNN_STATUS_SUCCESS) return request.status;
  if (!alpha || !beta) return cudnn_null_pointer();
  const Algorithm* algorithm = find_algorithm(direction, id);
  if (!algorithm) return cudnn_bad_parameter("unknown algorithm");
  const auto scale = [](const void* value) { return *static_cast<const float*>(value); };
  return enqueue_convolution(handle, name_of(direction), request.convolution, direction, *algorithm,
                             scale(alpha), scale(beta), data);
}

cudnnStatus_t workspace_size(const Request& request, Direction direction, int id, std::size_t* bytes) {
  if (request.status != CUDNN_STATUS_SUCCESS) return request.status;
  if (!bytes) return cudnn_null_pointer();
  const Algorithm* algorithm = find_algorithm(direction, id);
  if (!algorithm) return cudnn_bad_parameter("unknown algorithm");
  const cudnnStatus_t status = check_supported(request.convolution, direction, *algorithm);
  if (status == CUDNN_STATUS_SUCCESS) *bytes = workspace_bytes(request.convolution, *algorithm);
  return status;
}

/// The math types that are tried for a convolution: the one that it allows, and what that includes.
std::vector<cudnnMathType_t> math_types(const Convolution& p) {
  if (p.how.math == CUDNN_FMA_MATH) return {CUDNN_FMA_MATH};
  return {p.how.math, CUDNN_FMA_MATH};
}

/// What the heuristics say: the algorithms in their order, without times, those that fail last.
template <typename Performance>
cudnnStatus_t list_algorithms(const Request& request, Direction direction, int wanted, int* returned,
                              Performance* results) {
  if (request.status != CUDNN_STATUS_SUCCESS) return request.status;
  if (!returned || !results) return cudnn_null_pointer();
  if (wanted < 1) return cudnn_bad_parameter("requestedAlgoCount must be positive");
  std::vector<Performance> all;
  for (const Algorithm& algorithm : algorithms(direction)) {
    for (const cudnnMathType_t math : math_types(request.convolution)) {
      Convolution attempt = request.convolution;
      attempt.how.math = math;
      Performance entry{};
      entry.algo = static_cast<decltype(entry.algo)>(algorithm.id);
      entry.determinism = algorithm.deterministic ? CUDNN_DETERMINISTIC : CUDNN_NON_DETERMINISTIC;
      entry.mathType = math;
      entry.time = -1;
      entry.status = check_supported(attempt, direction, algorithm);
      if (entry.status == CUDNN_STATUS_SUCCESS) entry.memory = workspace_bytes(attempt, algorithm);
      all.push_back(entry);
    }
  }
  std::ranges::stable_partition(
      all, [](const Performance& entry) { return entry.status == CUDNN_STATUS_SUCCESS; });
  *returned = std::min(wanted, static_cast<int>(all.size()));
  std::copy_n(all.begin(), *returned, results);
  return CUDNN_STATUS_SUCCESS;
}

/// As many entries as list_algorithms() may give.
cudnnStatus_t count_algorithms(cudnnHandle_t handle, Direction direction, int* count) {
  if (!handle || !count) return cudnn_null_pointer();
  *count = 2 * static_cast<int>(algorithms(direction).size());
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

cudnnStatus_t enqueue_convolution(cudnnHandle_t handle, const char* call, const Convolution& p,
                                  Direction direction, const Algorithm& algorithm, float alpha, float beta,
                                  const ConvolutionData& data) {
  if (!data.first || !data.second || !data.out) return cudnn_null_pointer();
  if (const cudnnStatus_t status = check_supported(p, direction, algorithm); status != CUDNN_STATUS_SUCCESS) {
    return status;
  }
  const std::size_t needed = workspace_bytes(p, algorithm);
  if (needed > 0 && (data.workspace_bytes < needed || !data.workspace)) {
    return cudnn_failure(CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT, "the workspace is too small");
  }
  return launched(enqueue_call(handle->stream, call, operands(p, direction, data, needed), [=] {
    compute(p, direction, algorithm, alpha, data.first, data.second, beta, data.out, data.workspace);
  }));
}

}  // namespace tardigrad::emulation

using namespace tardigrad::emulation;

cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(const cudnnConvolutionDescriptor_t how,
                                                    const cudnnTensorDescriptor_t x,
                                                    const cudnnFilterDescriptor_t w, int* n, int* c, int* h,
                                                    int* width) {
  if (!how || !x || !w || !n || !c || !h || !width) return cudnn_null_pointer();
  if (x->size[0] == 0 || w->size[0] == 0 || how->stride[0] == 0 || x->size[1] != w->size[1] * how->groups) {
    return cudnn_bad_parameter("descriptors that don't fit together");
  }
  const auto size = output_size(*x, *w, *how);
  if (size[2] < 1 || size[3] < 1) return cudnn_bad_parameter("the filter is larger than the image");
  *n = size[0];
  *c = size[1];
  *h = size[2];
  *width = size[3];
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithmMaxCount(cudnnHandle_t handle, int* count) {
  return count_algorithms(handle, Direction::forward, count);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithmMaxCount(cudnnHandle_t handle, int* count) {
  return count_algorithms(handle, Direction::backward_data, count);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(cudnnHandle_t handle, int* count) {
  return count_algorithms(handle, Direction::backward_filter, count);
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
                                                     const cudnnFilterDescriptor_t w,
                                                     const cudnnConvolutionDescriptor_t how,
                                                     const cudnnTensorDescriptor_t y, const int wanted,
                                                     int* returned, cudnnConvolutionFwdAlgoPerf_t* results) {
  return list_algorithms({handle, x, w, y, how}, Direction::forward, wanted, returned, results);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t how, const cudnnTensorDescriptor_t dx, const int wanted, int* returned,
    cudnnConvolutionBwdDataAlgoPerf_t* results) {
  return list_algorithms({handle, dx, w, dy, how}, Direction::backward_data, wanted, returned, results);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t how, const cudnnFilterDescriptor_t dw, const int wanted, int* returned,
    cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  return list_algorithms({handle, x, dw, dy, how}, Direction::backward_filter, wanted, returned, results);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
                                                      const cudnnFilterDescriptor_t w,
                                                      const cudnnConvolutionDescriptor_t how,
                                                      const cudnnTensorDescriptor_t y,
                                                      cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
  return workspace_size({handle, x, w, y, how}, Direction::forward, algorithm, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t how, const cudnnTensorDescriptor_t dx,
    cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes) {
  return workspace_size({handle, dx, w, dy, how}, Direction::backward_data, algorithm, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t how, const cudnnFilterDescriptor_t dw,
    cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes) {
  return workspace_size({handle, x, dw, dy, how}, Direction::backward_filter, algorithm, bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      const cudnnTensorDescriptor_t x_of, const void* x,
                                      const cudnnFilterDescriptor_t w_of, const void* w,
                                      const cudnnConvolutionDescriptor_t how,
                                      cudnnConvolutionFwdAlgo_t algorithm, void* workspace, size_t bytes,
                                      const void* beta, const cudnnTensorDescriptor_t y_of, void* y) {
  return run(handle, {handle, x_of, w_of, y_of, how}, Direction::forward, algorithm, alpha, beta,
             {x, w, y, workspace, bytes});
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha,
                                           const cudnnFilterDescriptor_t w_of, const void* w,
                                           const cudnnTensorDescriptor_t dy_of, const void* dy,
                                           const cudnnConvolutionDescriptor_t how,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace,
                                           size_t bytes, const void* beta,
                                           const cudnnTensorDescriptor_t dx_of, void* dx) {
  return run(handle, {handle, dx_of, w_of, dy_of, how}, Direction::backward_data, algorithm, alpha, beta,
             {w, dy, dx, workspace, bytes});
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void* alpha,
                                             const cudnnTensorDescriptor_t x_of, const void* x,
                                             const cudnnTensorDescriptor_t dy_of, const void* dy,
                                             const cudnnConvolutionDescriptor_t how,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace,
                                             size_t bytes, const void* beta,
                                             const cudnnFilterDescriptor_t dw_of, void* dw) {
  return run(handle, {handle, x_of, dw_of, dy_of, how}, Direction::backward_filter, algorithm, alpha, beta,
             {x, dy, dw, workspace, bytes});
}

cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void* alpha,
                                           const cudnnTensorDescriptor_t dy_of, const void* dy,
                                           const void* beta, const cudnnTensorDescriptor_t db_of, void* db) {
  if (!handle || !alpha || !beta || !dy_of || !db_of || !dy || !db) return cudnn_null_pointer();
  const std::array<int, 4> wanted{1, dy_of->size[1], 1, 1};
  if (db_of->size != wanted || dy_of->size[0] == 0 || db_of->type != dy_of->type) {
    return cudnn_bad_parameter("db must be 1 x c x 1 x 1 of dy's type");
  }
  const auto bytes = [](const cudnnTensorStruct& t) { return t.extent() * bytes_of(format_of(t.type)); };
  const auto work = [dy_tensor = *dy_of, db_tensor = *db_of, dy, db, a = *static_cast<const float*>(alpha),
                     b = *static_cast<const float*>(beta)] {
    bias_gradient(dy_tensor, dy, a, b, db_tensor, db);
  };
  return launched(enqueue_call(handle->stream, "cudnnConvolutionBackwardBias",
                               {{"dy", dy, bytes(*dy_of)}, {"db", db, bytes(*db_of)}}, work));
}
