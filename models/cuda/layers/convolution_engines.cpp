#include "models/cuda/layers/convolution_engines.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tardigrad::models::cuda {
namespace {

// Of those that the heuristics name. Each that is timed loads kernels of its own first. All that come first
// are often one engine with other settings.
constexpr std::size_t most_named = 64;
constexpr std::size_t most_engines = 8;
constexpr std::ptrdiff_t most_of_one_engine = 2;

enum TensorId : std::int64_t { input_id = 1, weight_id, output_id };

using Size4 = std::array<std::int64_t, 4>;

Size4 packed_strides(const Size4& size, MemoryFormat format) {
  const auto [n, c, h, w] = size;
  if (format == MemoryFormat::channel_major) return {c * h * w, h * w, w, 1};
  return {h * w * c, 1, w * c, c};
}

struct TensorKind {
  cudnnDataType_t type;
  MemoryFormat format;
};

BackendDescriptor describe_tensor(Device device, TensorId id, const Size4& size, const TensorKind& kind) {
  BackendDescriptor tensor(device, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, std::int64_t{id});
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, kind.type);
  tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{library_alignment});
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::span<const std::int64_t>(size));
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const std::int64_t>(packed_strides(size, kind.format)));
  tensor.finalize();
  return tensor;
}

BackendDescriptor describe_convolution(Device device, const models::Convolution& conv) {
  const auto in_both = [](std::int64_t value) { return std::array{value, value}; };
  const auto set = [](BackendDescriptor& to, cudnnBackendAttributeName_t name,
                      const std::array<std::int64_t, 2>& values) {
    to.set(name, std::span<const std::int64_t>(values));
  };
  BackendDescriptor how(device, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  how.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  how.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  how.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
  set(how, CUDNN_ATTR_CONVOLUTION_DILATIONS, in_both(1));
  set(how, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, in_both(conv.stride));
  set(how, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, in_both(conv.padding));
  set(how, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, in_both(conv.padding));
  how.finalize();
  return how;
}

/// What cuDNN calls the operation of a direction, and its attributes.
struct OperationNames {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t convolution, input, weight, output, alpha, beta;
};

OperationNames names_of(ConvolutionDirection direction) {
  switch (direction) {
    case ConvolutionDirection::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case ConvolutionDirection::backward_data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    default:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  }
}

template <typename Note>
bool has(const std::vector<Note>& notes, Note note) {
  return std::ranges::find(notes, note) != notes.end();
}

std::vector<EngineKnob> knobs_of(const BackendDescriptor& configuration) {
  std::vector<EngineKnob> knobs;
  for (const BackendDescriptor& choice : configuration.descriptors(
           CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS)) {
    knobs.push_back({choice.value<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE),
                     choice.value<std::int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE)});
  }
  return knobs;
}

}  // namespace

BackendDescriptor EnginePlan::operands(const Execution& execution, const void* input, const void* weight,
                                       const void* output) const {
  // cuDNN knows from the plan which of these it may write.
  void* const data[] = {const_cast<void*>(input), const_cast<void*>(weight), const_cast<void*>(output)};
  constexpr std::int64_t ids[] = {input_id, weight_id, output_id};
  BackendDescriptor pack(device_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const std::int64_t>(ids));
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<void* const>(data));
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, execution.workspace);
  pack.finalize();
  return pack;
}

void EnginePlan::enqueue(const Execution& execution, const BackendDescriptor& operands) const {
  TARDIGRAD_CUDA_CHECK(cudnnSetStream(execution.cudnn, execution.stream), device_);
  TARDIGRAD_CUDA_CHECK(cudnnBackendExecute(execution.cudnn, plan_.get(), operands.get()), device_);
}

ConvolutionGraph::ConvolutionGraph(Device device, cudnnHandle_t cudnn, const ConvolutionStage& stage,
                                   int batch, Precision precision, ConvolutionDirection direction)
    : device_(device),
      cudnn_(cudnn),
      precision_(precision),
      graph_(device, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) {
  const models::Convolution& conv = stage.convolution;
  const TensorKind kind{cudnn_type_of(precision), stage.format};
  const auto tensor = [&](TensorId id, const Size4& size) { return describe_tensor(device, id, size, kind); };
  const OperationNames names = names_of(direction);
  BackendDescriptor operation(device, names.operation);
  operation.set(names.convolution, describe_convolution(device, conv));
  operation.set(names.input, tensor(input_id, {batch, stage.input_channels, conv.height, conv.width}));
  operation.set(names.weight, tensor(weight_id, {conv.out_channels, stage.input_channels / conv.groups,
                                                 conv.kernel, conv.kernel}));
  operation.set(names.output,
                tensor(output_id, {batch, conv.out_channels, conv.out_height(), conv.out_width()}));
  operation.set(names.alpha, 1.0F);
  operation.set(names.beta, 0.0F);
  operation.finalize();
  graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, cudnn);
  graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
  graph_.finalize();
}

/// Of floats, tensor cores are given TF32. To compile kernels where they are used takes seconds.
bool ConvolutionGraph::is_wanted(const BackendDescriptor& engine, const Search& search) const {
  const auto behavior = engine.values<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE,
                                                                  CUDNN_BEHAVIOR_NOTE_TYPE_COUNT);
  const auto numerical = engine.values<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                                    CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  const bool in_tf32 = has(numerical, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
  return !has(behavior, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) &&
         !has(numerical, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) &&
         !has(numerical, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) &&
         !(precision_ == Precision::fp32 && in_tf32) &&
         !(search.deterministic && has(numerical, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
}

std::vector<ReadyEngine> ConvolutionGraph::engines(const Search& search) const {
  BackendDescriptor heuristics(device_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_HEUR_MODE_A);
  heuristics.finalize();
  std::vector<ReadyEngine> engines;
  for (const BackendDescriptor& configuration : heuristics.descriptors(
           CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, most_named)) {
    if (engines.size() == most_engines) break;
    const auto its_engine =
        configuration.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
    if (its_engine.empty() || !is_wanted(its_engine[0], search)) continue;
    ConvolutionEngine engine{.index = its_engine[0].value<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX),
                             .knobs = knobs_of(configuration),
                             .workspace_bytes = 0};
    const auto same_engine = [&](const ReadyEngine& other) { return other.engine.index == engine.index; };
    const auto same_settings = [&](const ReadyEngine& other) {
      return same_engine(other) && other.engine.knobs == engine.knobs;
    };
    if (std::ranges::count_if(engines, same_engine) == most_of_one_engine ||
        std::ranges::any_of(engines, same_settings)) {
      continue;
    }
    try {
      EnginePlan plan = make_plan(engine);
      engine.workspace_bytes = plan.workspace_bytes();
      if (engine.workspace_bytes > search.workspace_limit) continue;
      engines.push_back({std::move(engine), std::move(plan)});
    } catch (const DeviceError&) {
      // The heuristics promise nothing.
    }
  }
  return engines;
}

EnginePlan ConvolutionGraph::plan(const ConvolutionEngine& engine) const {
  EnginePlan plan = make_plan(engine);
  const std::size_t wanted = plan.workspace_bytes();  // cuDNN is not told how much there is
  if (wanted <= engine.workspace_bytes) return plan;
  throw DeviceError(device_, fmt::format("{}: engine {} of cuDNN's wants {} bytes of workspace, expected {}",
                                         device_.name(), engine.index, wanted, engine.workspace_bytes));
}

EnginePlan ConvolutionGraph::make_plan(const ConvolutionEngine& engine) const {
  BackendDescriptor its_engine(device_, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  its_engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph_);
  its_engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, engine.index);
  its_engine.finalize();
  std::vector<BackendDescriptor> choices;
  for (const EngineKnob& knob : engine.knobs) {
    BackendDescriptor& choice = choices.emplace_back(device_, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    choice.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, static_cast<cudnnBackendKnobType_t>(knob.type));
    choice.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, knob.value);
    choice.finalize();
  }
  BackendDescriptor configuration(device_, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  configuration.set(CUDNN_ATTR_ENGINECFG_ENGINE, its_engine);
  if (!choices.empty()) configuration.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, choices);
  configuration.finalize();
  BackendDescriptor plan(device_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, cudnn_);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  plan.finalize();
  return {device_, std::move(plan)};
}

}  // namespace tardigrad::models::cuda
