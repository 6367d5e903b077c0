#include "models/cuda/convolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tardigrad::models::cuda {
namespace {

constexpr float one = 1;
constexpr float zero = 0;

// cuDNN lists an algorithm once for each kind of arithmetic.
constexpr std::size_t kinds_of_math = 3;

/// The first of cuDNN's results, which come in the order of their speed, that can be used.
template <std::size_t Size, typename Result>
auto first_usable(const std::array<Result, Size>& results, int count, const Search& search, Device device,
                  const char* direction) {
  for (int i = 0; i < count; ++i) {
    const Result& result = results[static_cast<std::size_t>(i)];
    const bool allowed = !search.deterministic || result.determinism == CUDNN_DETERMINISTIC;
    if (result.status == CUDNN_STATUS_SUCCESS && result.memory <= search.workspace_limit && allowed) {
      return AlgorithmChoice<decltype(result.algo)>{result.algo, result.mathType, result.memory};
    }
  }
  throw DeviceError(
      device, fmt::format("{}: convolution, {}: no {}algorithm of cuDNN's with {} MiB of workspace or less",
                          device.name(), direction, search.deterministic ? "deterministic " : "",
                          search.workspace_limit >> 20));
}

}  // namespace

std::size_t ConvolutionAlgorithms::workspace_bytes() const {
  return std::max({forward.workspace_bytes, backward_data.workspace_bytes, backward_weight.workspace_bytes});
}

Convolution::Convolution(Device device, const ConvolutionStage& stage, int batch, Precision precision)
    : device_(device), precision_(precision), reads_images_(stage.reads_images) {
  const Conv3x3& conv = stage.convolution;
  const cudnnTensorFormat_t format =
      stage.format == MemoryFormat::channel_major ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC;
  const cudnnDataType_t type = precision == Precision::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  TARDIGRAD_CUDA_CHECK(cudnnCreateTensorDescriptor(input_.receive()), device_);
  TARDIGRAD_CUDA_CHECK(cudnnCreateTensorDescriptor(output_.receive()), device_);
  TARDIGRAD_CUDA_CHECK(cudnnCreateFilterDescriptor(weight_.receive()), device_);
  TARDIGRAD_CUDA_CHECK(cudnnSetTensor4dDescriptor(input_.get(), format, type, batch, stage.input_channels,
                                                  conv.height, conv.width),
                       device_);
  TARDIGRAD_CUDA_CHECK(cudnnSetTensor4dDescriptor(output_.get(), format, type, batch, conv.out_channels,
                                                  conv.height, conv.width),
                       device_);
  TARDIGRAD_CUDA_CHECK(
      cudnnSetFilter4dDescriptor(weight_.get(), type, format, conv.out_channels, stage.input_channels, 3, 3),
      device_);
  forward_ = describe();
  backward_data_ = describe();
  backward_weight_ = describe();
}

Convolution::Description Convolution::describe() const {
  Description description;
  TARDIGRAD_CUDA_CHECK(cudnnCreateConvolutionDescriptor(description.receive()), device_);
  TARDIGRAD_CUDA_CHECK(cudnnSetConvolution2dDescriptor(description.get(), 1, 1, 1, 1, 1, 1,
                                                       CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
                       device_);
  set_math(description, CUDNN_TENSOR_OP_MATH);
  return description;
}

/// What cuDNN calls its default may round to TF32, so fp32 takes no other kind than FMA.
void Convolution::set_math(const Description& description, cudnnMathType_t math) const {
  const cudnnMathType_t allowed = precision_ == Precision::fp32 ? CUDNN_FMA_MATH : math;
  TARDIGRAD_CUDA_CHECK(cudnnSetConvolutionMathType(description.get(), allowed), device_);
}

ConvolutionAlgorithms Convolution::choose(const Execution& execution, const Search& search, void* input,
                                          void* weight, void* output) const {
  const Probe probe{execution, search, input, weight, output};
  ConvolutionAlgorithms chosen;
  chosen.forward = choose_forward(probe);
  chosen.backward_weight = choose_backward_weight(probe);
  if (!reads_images_) chosen.backward_data = choose_backward_data(probe);
  return chosen;
}

AlgorithmChoice<cudnnConvolutionFwdAlgo_t> Convolution::choose_forward(const Probe& probe) const {
  std::array<cudnnConvolutionFwdAlgoPerf_t, CUDNN_CONVOLUTION_FWD_ALGO_COUNT * kinds_of_math> results{};
  constexpr int room = static_cast<int>(results.size());
  const Execution& run = probe.execution;
  int count = 0;
  if (probe.search.deterministic) {
    TARDIGRAD_CUDA_CHECK(
        cudnnGetConvolutionForwardAlgorithm_v7(run.cudnn, input_.get(), weight_.get(), forward_.get(),
                                               output_.get(), room, &count, results.data()),
        device_);
  } else {
    TARDIGRAD_CUDA_CHECK(
        cudnnFindConvolutionForwardAlgorithmEx(
            run.cudnn, input_.get(), probe.input, weight_.get(), probe.weight, forward_.get(), output_.get(),
            probe.output, room, &count, results.data(), run.workspace, run.workspace_bytes),
        device_);
  }
  return first_usable(results, count, probe.search, device_, "forward");
}

AlgorithmChoice<cudnnConvolutionBwdDataAlgo_t> Convolution::choose_backward_data(const Probe& probe) const {
  std::array<cudnnConvolutionBwdDataAlgoPerf_t, CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT * kinds_of_math>
      results{};
  constexpr int room = static_cast<int>(results.size());
  const Execution& run = probe.execution;
  int count = 0;
  if (probe.search.deterministic) {
    TARDIGRAD_CUDA_CHECK(cudnnGetConvolutionBackwardDataAlgorithm_v7(run.cudnn, weight_.get(), output_.get(),
                                                                     backward_data_.get(), input_.get(), room,
                                                                     &count, results.data()),
                         device_);
  } else {
    TARDIGRAD_CUDA_CHECK(
        cudnnFindConvolutionBackwardDataAlgorithmEx(
            run.cudnn, weight_.get(), probe.weight, output_.get(), probe.output, backward_data_.get(),
            input_.get(), probe.input, room, &count, results.data(), run.workspace, run.workspace_bytes),
        device_);
  }
  return first_usable(results, count, probe.search, device_, "input gradient");
}

AlgorithmChoice<cudnnConvolutionBwdFilterAlgo_t> Convolution::choose_backward_weight(
    const Probe& probe) const {
  std::array<cudnnConvolutionBwdFilterAlgoPerf_t, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT * kinds_of_math>
      results{};
  constexpr int room = static_cast<int>(results.size());
  const Execution& run = probe.execution;
  int count = 0;
  if (probe.search.deterministic) {
    TARDIGRAD_CUDA_CHECK(cudnnGetConvolutionBackwardFilterAlgorithm_v7(run.cudnn, input_.get(), output_.get(),
                                                                       backward_weight_.get(), weight_.get(),
                                                                       room, &count, results.data()),
                         device_);
  } else {
    TARDIGRAD_CUDA_CHECK(
        cudnnFindConvolutionBackwardFilterAlgorithmEx(
            run.cudnn, input_.get(), probe.input, output_.get(), probe.output, backward_weight_.get(),
            weight_.get(), probe.weight, room, &count, results.data(), run.workspace, run.workspace_bytes),
        device_);
  }
  return first_usable(results, count, probe.search, device_, "weight gradient");
}

void Convolution::use(const ConvolutionAlgorithms& algorithms) {
  algorithms_ = algorithms;
  set_math(forward_, algorithms.forward.math);
  set_math(backward_data_, algorithms.backward_data.math);
  set_math(backward_weight_, algorithms.backward_weight.math);
}

void Convolution::forward(const Execution& execution, const void* input, const void* weight,
                          void* output) const {
  TARDIGRAD_CUDA_CHECK(
      cudnnConvolutionForward(execution.cudnn, &one, input_.get(), input, weight_.get(), weight,
                              forward_.get(), algorithms_.forward.algorithm, execution.workspace,
                              execution.workspace_bytes, &zero, output_.get(), output),
      device_);
}

void Convolution::backward_data(const Execution& execution, const void* weight, const void* output_gradient,
                                void* input_gradient) const {
  TARDIGRAD_CUDA_CHECK(cudnnConvolutionBackwardData(
                           execution.cudnn, &one, weight_.get(), weight, output_.get(), output_gradient,
                           backward_data_.get(), algorithms_.backward_data.algorithm, execution.workspace,
                           execution.workspace_bytes, &zero, input_.get(), input_gradient),
                       device_);
}

void Convolution::backward_weight(const Execution& execution, const void* input, const void* output_gradient,
                                  void* weight_gradient) const {
  TARDIGRAD_CUDA_CHECK(cudnnConvolutionBackwardFilter(
                           execution.cudnn, &one, input_.get(), input, output_.get(), output_gradient,
                           backward_weight_.get(), algorithms_.backward_weight.algorithm, execution.workspace,
                           execution.workspace_bytes, &zero, weight_.get(), weight_gradient),
                       device_);
}

}  // namespace tardigrad::models::cuda
