#include "models/cuda/layers/convolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "models/cuda/layers/fastest.h"

namespace tardigrad::models::cuda {
namespace {

constexpr float one = 1;
constexpr float zero = 0;

void enqueue_engine(const EnginePlan& plan, const Execution& execution, const void* input, const void* weight,
                    const void* output) {
  plan.enqueue(execution, plan.operands(execution, input, weight, output));
}

// cuDNN lists an algorithm once for each kind of arithmetic.
constexpr std::size_t kinds_of_math = 3;

// Each loads kernels of its own first.
constexpr std::size_t most_to_time = 4;

/// What the heuristics say of the algorithms of one direction, the most promising first.
template <typename Result, std::size_t Algorithms>
struct Results {
  std::array<Result, Algorithms * kinds_of_math> all{};
  int count = 0;

  static constexpr int room = static_cast<int>(Algorithms * kinds_of_math);
  auto begin() const { return all.begin(); }
  auto end() const { return all.begin() + count; }
};

}  // namespace

std::size_t ConvolutionAlgorithms::workspace_bytes() const {
  return std::max(
      {forward.workspace_bytes(), backward_data.workspace_bytes(), backward_weight.workspace_bytes()});
}

void ConvolutionAlgorithms::drop_engines() {
  forward.engine.reset();
  backward_data.engine.reset();
  backward_weight.engine.reset();
}

Convolution::Convolution(Device device, const ConvolutionStage& stage, int batch, Precision precision)
    : device_(device), stage_(stage), batch_(batch), precision_(precision) {
  const models::Convolution& conv = stage.convolution;
  const cudnnTensorFormat_t format =
      stage.format == MemoryFormat::channel_major ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC;
  const cudnnDataType_t type = cudnn_type_of(precision);
  TARDIGRAD_CUDA_CHECK(cudnnCreateTensorDescriptor(input_.receive()), device_);
  TARDIGRAD_CUDA_CHECK(cudnnCreateTensorDescriptor(output_.receive()), device_);
  TARDIGRAD_CUDA_CHECK(cudnnCreateFilterDescriptor(weight_.receive()), device_);
  TARDIGRAD_CUDA_CHECK(cudnnSetTensor4dDescriptor(input_.get(), format, type, batch, stage.input_channels,
                                                  conv.height, conv.width),
                       device_);
  TARDIGRAD_CUDA_CHECK(cudnnSetTensor4dDescriptor(output_.get(), format, type, batch, conv.out_channels,
                                                  conv.out_height(), conv.out_width()),
                       device_);
  const int group_inputs = stage.input_channels / conv.groups;
  TARDIGRAD_CUDA_CHECK(cudnnSetFilter4dDescriptor(weight_.get(), type, format, conv.out_channels,
                                                  group_inputs, conv.kernel, conv.kernel),
                       device_);
  forward_ = describe(conv);
  backward_data_ = describe(conv);
  backward_weight_ = describe(conv);
}

Convolution::Description Convolution::describe(const models::Convolution& conv) const {
  Description description;
  TARDIGRAD_CUDA_CHECK(cudnnCreateConvolutionDescriptor(description.receive()), device_);
  TARDIGRAD_CUDA_CHECK(
      cudnnSetConvolution2dDescriptor(description.get(), conv.padding, conv.padding, conv.stride, conv.stride,
                                      1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
      device_);
  TARDIGRAD_CUDA_CHECK(cudnnSetConvolutionGroupCount(description.get(), conv.groups), device_);
  set_math(description, allowed(CUDNN_TENSOR_OP_MATH));
  return description;
}

/// What cuDNN calls its default may round to TF32, so fp32 takes no other kind than FMA.
cudnnMathType_t Convolution::allowed(cudnnMathType_t math) const {
  return precision_ == Precision::fp32 ? CUDNN_FMA_MATH : math;
}

void Convolution::set_math(const Description& description, cudnnMathType_t math) const {
  TARDIGRAD_CUDA_CHECK(cudnnSetConvolutionMathType(description.get(), math), device_);
}

ConvolutionAlgorithms Convolution::choose(const Execution& execution, const Search& search, void* input,
                                          void* weight, void* output) const {
  const Probe probe{execution, search, input, weight, output};
  ConvolutionAlgorithms chosen;
  chosen.forward = choose_forward(probe);
  chosen.backward_weight = choose_backward_weight(probe);
  if (stage_.wants_input_gradient) chosen.backward_data = choose_backward_data(probe);
  return chosen;
}

void Convolution::add_engines(const Execution& execution, const Search& search, void* input, void* weight,
                              void* output, ConvolutionAlgorithms& algorithms) const {
  if (search.deterministic) return;
  const Probe probe{execution, search, input, weight, output};
  choose_engine(probe, ConvolutionDirection::forward, forward_, algorithms.forward,
                [&](auto algorithm) { return enqueue_forward(execution, algorithm, input, weight, output); });
  choose_engine(
      probe, ConvolutionDirection::backward_weight, backward_weight_, algorithms.backward_weight,
      [&](auto algorithm) { return enqueue_backward_weight(execution, algorithm, input, output, weight); });
  if (!stage_.wants_input_gradient) return;
  choose_engine(
      probe, ConvolutionDirection::backward_data, backward_data_, algorithms.backward_data,
      [&](auto algorithm) { return enqueue_backward_data(execution, algorithm, weight, output, input); });
}

/// `enqueue(algorithm)` runs the direction on the probe's memory.
template <typename Choice, typename Enqueue>
void Convolution::choose_engine(const Probe& probe, ConvolutionDirection direction,
                                const Description& description, Choice& choice,
                                const Enqueue& enqueue) const {
  const Execution& execution = probe.execution;
  const auto synchronize = [&] { TARDIGRAD_CUDA_CHECK(cudaStreamSynchronize(execution.stream), device_); };
  try {
    const ConvolutionGraph graph(device_, execution.cudnn, stage_, batch_, precision_, direction);
    Search search = probe.search;
    search.workspace_limit = probe.workspace_limit();
    const std::vector<ReadyEngine> engines = graph.engines(search);
    if (engines.empty()) return;
    std::vector<BackendDescriptor> operands;  // once: what is done for each run is to be that of a graph
    operands.reserve(engines.size());
    for (const ReadyEngine& engine : engines) {
      operands.push_back(engine.plan.operands(execution, probe.input, probe.weight, probe.output));
    }
    set_math(description, choice.math);
    // The algorithm comes first, so that it stays where no engine is clearly faster.
    const auto run = [&](std::size_t i) {
      if (i == 0) return enqueue(choice.algorithm) == CUDNN_STATUS_SUCCESS;
      try {
        engines[i - 1].plan.enqueue(execution, operands[i - 1]);
        return true;
      } catch (const DeviceError&) {
        return false;
      }
    };
    const auto fastest = fastest_of(device_, execution.stream, engines.size() + 1, run);
    synchronize();  // before the plans go
    if (fastest && *fastest > 0) choice.engine = engines[*fastest - 1].engine;
  } catch (const DeviceError& error) {
    try {
      synchronize();
    } catch (const DeviceError&) {
      throw DeviceError(device_, fmt::format("{} (while engines of cuDNN's were tried for a convolution; "
                                             "--deterministic tries none)",
                                             error.what()));
    }
  }
}

/// `enqueue(algorithm)` runs the direction on the probe's memory.
template <typename Results, typename Enqueue>
auto Convolution::fastest(const Results& results, const Probe& probe, const Description& description,
                          const char* direction, const Enqueue& enqueue) const {
  using Choice = AlgorithmChoice<decltype(results.begin()->algo)>;
  const Search& search = probe.search;
  std::vector<Choice> choices;
  for (const auto& result : results) {
    const bool repeats = !search.deterministic || result.determinism == CUDNN_DETERMINISTIC;
    const bool fits = result.memory <= probe.workspace_limit();
    if (result.status != CUDNN_STATUS_SUCCESS || !repeats || !fits) continue;
    const Choice choice{result.algo, allowed(result.mathType), result.memory};
    const auto same = [&](const Choice& other) {
      return other.algorithm == choice.algorithm && other.math == choice.math;
    };
    if (choices.size() < most_to_time && std::ranges::none_of(choices, same)) choices.push_back(choice);
  }
  if (search.deterministic && !choices.empty()) return choices.front();
  const auto run = [&](std::size_t i) {
    set_math(description, choices[i].math);
    return enqueue(choices[i].algorithm) == CUDNN_STATUS_SUCCESS;
  };
  if (const auto i = fastest_of(device_, probe.execution.stream, choices.size(), run)) return choices[*i];
  throw DeviceError(
      device_, fmt::format("{}: convolution, {}: no {}algorithm of cuDNN's with {} MiB of workspace or less",
                           device_.name(), direction, search.deterministic ? "deterministic " : "",
                           search.workspace_limit >> 20));
}

AlgorithmChoice<cudnnConvolutionFwdAlgo_t> Convolution::choose_forward(const Probe& probe) const {
  Results<cudnnConvolutionFwdAlgoPerf_t, CUDNN_CONVOLUTION_FWD_ALGO_COUNT> results;
  TARDIGRAD_CUDA_CHECK(cudnnGetConvolutionForwardAlgorithm_v7(
                           probe.execution.cudnn, input_.get(), weight_.get(), forward_.get(), output_.get(),
                           results.room, &results.count, results.all.data()),
                       device_);
  return fastest(results, probe, forward_, "forward", [&](auto algorithm) {
    return enqueue_forward(probe.execution, algorithm, probe.input, probe.weight, probe.output);
  });
}

AlgorithmChoice<cudnnConvolutionBwdDataAlgo_t> Convolution::choose_backward_data(const Probe& probe) const {
  Results<cudnnConvolutionBwdDataAlgoPerf_t, CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT> results;
  TARDIGRAD_CUDA_CHECK(cudnnGetConvolutionBackwardDataAlgorithm_v7(
                           probe.execution.cudnn, weight_.get(), output_.get(), backward_data_.get(),
                           input_.get(), results.room, &results.count, results.all.data()),
                       device_);
  return fastest(results, probe, backward_data_, "input gradient", [&](auto algorithm) {
    return enqueue_backward_data(probe.execution, algorithm, probe.weight, probe.output, probe.input);
  });
}

AlgorithmChoice<cudnnConvolutionBwdFilterAlgo_t> Convolution::choose_backward_weight(
    const Probe& probe) const {
  Results<cudnnConvolutionBwdFilterAlgoPerf_t, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT> results;
  TARDIGRAD_CUDA_CHECK(cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                           probe.execution.cudnn, input_.get(), output_.get(), backward_weight_.get(),
                           weight_.get(), results.room, &results.count, results.all.data()),
                       device_);
  return fastest(results, probe, backward_weight_, "weight gradient", [&](auto algorithm) {
    return enqueue_backward_weight(probe.execution, algorithm, probe.input, probe.output, probe.weight);
  });
}

void Convolution::set_stream(const Execution& execution) const {
  TARDIGRAD_CUDA_CHECK(cudnnSetStream(execution.cudnn, execution.stream), device_);
}

void Convolution::use(cudnnHandle_t cudnn, const ConvolutionAlgorithms& algorithms) {
  const auto plan = [&](const auto& choice, ConvolutionDirection direction) -> std::optional<EnginePlan> {
    if (!choice.engine) return std::nullopt;
    return ConvolutionGraph(device_, cudnn, stage_, batch_, precision_, direction).plan(*choice.engine);
  };
  forward_plan_ = plan(algorithms.forward, ConvolutionDirection::forward);
  backward_data_plan_ = plan(algorithms.backward_data, ConvolutionDirection::backward_data);
  backward_weight_plan_ = plan(algorithms.backward_weight, ConvolutionDirection::backward_weight);
  algorithms_ = algorithms;
  set_math(forward_, algorithms.forward.math);
  set_math(backward_data_, algorithms.backward_data.math);
  set_math(backward_weight_, algorithms.backward_weight.math);
}

cudnnStatus_t Convolution::enqueue_forward(const Execution& execution, cudnnConvolutionFwdAlgo_t algorithm,
                                           const void* input, const void* weight, void* output) const {
  set_stream(execution);
  return cudnnConvolutionForward(execution.cudnn, &one, input_.get(), input, weight_.get(), weight,
                                 forward_.get(), algorithm, execution.workspace, execution.workspace_bytes,
                                 &zero, output_.get(), output);
}

cudnnStatus_t Convolution::enqueue_backward_data(const Execution& execution,
                                                 cudnnConvolutionBwdDataAlgo_t algorithm, const void* weight,
                                                 const void* output_gradient, void* input_gradient) const {
  set_stream(execution);
  return cudnnConvolutionBackwardData(execution.cudnn, &one, weight_.get(), weight, output_.get(),
                                      output_gradient, backward_data_.get(), algorithm, execution.workspace,
                                      execution.workspace_bytes, &zero, input_.get(), input_gradient);
}

cudnnStatus_t Convolution::enqueue_backward_weight(const Execution& execution,
                                                   cudnnConvolutionBwdFilterAlgo_t algorithm,
                                                   const void* input, const void* output_gradient,
                                                   void* weight_gradient) const {
  set_stream(execution);
  return cudnnConvolutionBackwardFilter(
      execution.cudnn, &one, input_.get(), input, output_.get(), output_gradient, backward_weight_.get(),
      algorithm, execution.workspace, execution.workspace_bytes, &zero, weight_.get(), weight_gradient);
}

void Convolution::forward(const Execution& execution, const void* input, const void* weight,
                          void* output) const {
  if (forward_plan_) return enqueue_engine(*forward_plan_, execution, input, weight, output);
  tardigrad::cuda::check(enqueue_forward(execution, algorithms_.forward.algorithm, input, weight, output),
                         "cudnnConvolutionForward", device_);
}

void Convolution::backward_data(const Execution& execution, const void* weight, const void* output_gradient,
                                void* input_gradient) const {
  if (backward_data_plan_) {
    return enqueue_engine(*backward_data_plan_, execution, input_gradient, weight, output_gradient);
  }
  tardigrad::cuda::check(enqueue_backward_data(execution, algorithms_.backward_data.algorithm, weight,
                                               output_gradient, input_gradient),
                         "cudnnConvolutionBackwardData", device_);
}

void Convolution::backward_weight(const Execution& execution, const void* input, const void* output_gradient,
                                  void* weight_gradient) const {
  if (backward_weight_plan_) {
    return enqueue_engine(*backward_weight_plan_, execution, input, weight_gradient, output_gradient);
  }
  tardigrad::cuda::check(enqueue_backward_weight(execution, algorithms_.backward_weight.algorithm, input,
                                                 output_gradient, weight_gradient),
                         "cudnnConvolutionBackwardFilter", device_);
}

}  // namespace tardigrad::models::cuda
