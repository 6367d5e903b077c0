// Convolutions by cuDNN's graph interface: graphs of one operation, and the engines that there are for them.
// Of each kind that the program has to tell apart there is one.
#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "tests/cuda_emulation/cudnn_backend.h"
#include "tests/cuda_emulation/cudnn_convolution.h"

namespace tardigrad::emulation {
namespace {

struct Engine {
  Algorithm algorithm;  ///< Its id is the engine's index; the tile adds to the parts of the sum.
  bool tensor_cores = false;
  std::int64_t tiles = 0;                                ///< Settings of the knob; without one, 0.
  std::optional<cudnnBackendNumericalNote_t> note = {};  ///< Beside that on tensor cores.
  bool compiled_at_run_time = false;
  bool has_plans = true;
};

constexpr Algorithm algorithm(int id, std::size_t parts, std::size_t workspace_images) {
  return {.id = id,
          .parts = parts,
          .workspace_images = workspace_images,
          .channels_last = true,
          .bf16 = true,
          .stride = true,
          .dilation = true};
}

constexpr Engine engines[] = {
    {.algorithm = algorithm(0, 1, 0)},
    {.algorithm = algorithm(1, 2, 1), .tensor_cores = true, .tiles = 3},
    {.algorithm = algorithm(2, 3, 1), .tiles = 3},
    {.algorithm = algorithm(3, 1, 0), .compiled_at_run_time = true},
    {.algorithm = algorithm(4, 1, 0), .has_plans = false},
    {.algorithm = algorithm(5, 1, 0), .note = CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS},
    {.algorithm = algorithm(6, 1, 0), .note = CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION},
    {.algorithm = algorithm(7, 5, 0), .note = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC},
};

struct Setting {
  std::int64_t index;
  std::optional<std::int64_t> tile;
};

constexpr Setting named_by_heuristics[] = {{4, {}}, {3, {}}, {5, {}}, {6, {}}, {1, 2}, {2, 1},
                                           {2, 1},  {2, 0},  {2, 2},  {7, {}}, {0, {}}};

/// What an operation is called, and its attributes.
struct Names {
  cudnnBackendDescriptorType_t type;
  Direction direction;
  cudnnBackendAttributeName_t how, x, w, y, alpha, beta;
};

constexpr Names operations[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, Direction::forward,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, Direction::backward_data,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, Direction::backward_filter,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

std::array<int, 4> four(const BackendDescriptor& tensor, cudnnBackendAttributeName_t name) {
  std::array<int, 4> values{};
  for (std::size_t i = 0; i < 4; ++i) values[i] = static_cast<int>(tensor.value<std::int64_t>(name, i));
  return values;
}

std::array<int, 2> two(const BackendDescriptor& how, cudnnBackendAttributeName_t name) {
  return {static_cast<int>(how.value<std::int64_t>(name, 0)),
          static_cast<int>(how.value<std::int64_t>(name, 1))};
}

cudnnTensorStruct tensor_of(const BackendDescriptor& tensor) {
  return {tensor.value<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE),
          four(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS), four(tensor, CUDNN_ATTR_TENSOR_STRIDES)};
}

/// The convolution that a graph has, with the ids of its tensors.
struct Operation {
  explicit Operation(const BackendDescriptor& graph)
      : operation(graph.descriptor(CUDNN_ATTR_OPERATIONGRAPH_OPS)),
        names(*std::ranges::find(operations, operation.type, &Names::type)) {
    const BackendDescriptor& how = operation.descriptor(names.how);
    const cudnnTensorStruct weight = tensor_of(operation.descriptor(names.w));
    convolution.x = tensor_of(operation.descriptor(names.x));
    convolution.y = tensor_of(operation.descriptor(names.y));
    // Where the weights' sizes are such that both formats are the same, they have that of the input.
    const bool channel_major = weight.packed(false) && (!weight.packed(true) || convolution.x.packed(false));
    convolution.w = {weight.type, channel_major ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC, weight.size};
    convolution.how.pad = two(how, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    convolution.how.stride = two(how, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
    convolution.how.dilation = two(how, CUDNN_ATTR_CONVOLUTION_DILATIONS);
    convolution.how.mode = how.value<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE);
    convolution.how.compute_type = how.value<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE);
    convolution.how.groups = std::max(1, convolution.x.size[1] / std::max(1, weight.size[1]));
  }

  std::int64_t id(cudnnBackendAttributeName_t name) const {
    return operation.descriptor(name).value<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID);
  }

  const BackendDescriptor& operation;
  const Names& names;
  Convolution convolution;
};

const Engine& engine_of(const BackendDescriptor& engine) {
  return engines[engine.value<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX)];
}

/// A plan as what the legacy interface has.
struct PlannedConvolution {
  explicit PlannedConvolution(const BackendDescriptor& configuration)
      : its_engine(configuration.descriptor(CUDNN_ATTR_ENGINECFG_ENGINE)),
        operation(its_engine.descriptor(CUDNN_ATTR_ENGINE_OPERATION_GRAPH)),
        algorithm(engine_of(its_engine).algorithm) {
    operation.convolution.how.math =
        engine_of(its_engine).tensor_cores ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH;
    if (!configuration.has(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES)) return;
    for (const auto& choice : configuration.attributes.at(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES).descriptors) {
      algorithm.parts +=
          static_cast<std::size_t>(choice->value<std::int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
    }
  }

  const BackendDescriptor& its_engine;
  Operation operation;
  Algorithm algorithm;
};

PlannedConvolution planned_by(const BackendDescriptor& plan) {
  return PlannedConvolution(plan.descriptor(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG));
}

bool lies_aligned(const void* data, const BackendDescriptor& tensor) {
  const auto alignment = tensor.value<std::int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
  return reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(alignment) == 0;
}

/// The pointer that a variant pack has for a tensor, or null.
void* find_data(const BackendDescriptor& pack, std::int64_t id) {
  const BackendAttribute& ids = pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const BackendAttribute& data = pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  for (std::size_t i = 0; i < static_cast<std::size_t>(std::min(ids.count, data.count)); ++i) {
    if (ids.at<std::int64_t>(i) == id) return data.at<void*>(i);
  }
  return nullptr;
}

}  // namespace

cudnnStatus_t check_operation_graph(const BackendDescriptor& graph) {
  const BackendDescriptor& operation = graph.descriptor(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  if (std::ranges::find(operations, operation.type, &Names::type) == std::end(operations)) {
    return cudnn_failure(CUDNN_STATUS_NOT_SUPPORTED, "emulated are graphs of one convolution");
  }
  const Operation of(graph);
  if (of.convolution.how.pad !=
      two(operation.descriptor(of.names.how), CUDNN_ATTR_CONVOLUTION_POST_PADDINGS)) {
    return cudnn_failure(CUDNN_STATUS_NOT_SUPPORTED, "emulated is the same padding on both sides");
  }
  return check(of.convolution);
}

cudnnStatus_t check_engine(const BackendDescriptor& engine) {
  const auto index = engine.value<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  if (index < 0 || index >= static_cast<std::int64_t>(std::size(engines))) {
    return cudnn_bad_parameter("there is no such engine");
  }
  const Operation operation(engine.descriptor(CUDNN_ATTR_ENGINE_OPERATION_GRAPH));
  return check_supported(operation.convolution, operation.names.direction, engine_of(engine).algorithm);
}

cudnnStatus_t check_engine_configuration(const BackendDescriptor& configuration) {
  const Engine& engine = engine_of(configuration.descriptor(CUDNN_ATTR_ENGINECFG_ENGINE));
  if (!configuration.has(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES)) return CUDNN_STATUS_SUCCESS;
  for (const auto& choice : configuration.attributes.at(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES).descriptors) {
    const auto value = choice->value<std::int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE);
    if (choice->value<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE) !=
            CUDNN_KNOB_TYPE_TILE_SIZE ||
        value < 0 || value >= engine.tiles) {
      return cudnn_bad_parameter("the engine has no such knob, or cannot be set so");
    }
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_execution_plan(const BackendDescriptor& plan) {
  if (engine_of(planned_by(plan).its_engine).has_plans) return CUDNN_STATUS_SUCCESS;
  return cudnn_failure(CUDNN_STATUS_NOT_SUPPORTED, "the engine does not take the graph after all");
}

std::vector<BackendDescriptor> engine_configurations(const BackendDescriptor& heuristics) {
  std::vector<BackendDescriptor> configurations;
  for (const Setting& setting : named_by_heuristics) {
    auto engine = std::make_shared<BackendDescriptor>();
    engine->type = CUDNN_BACKEND_ENGINE_DESCRIPTOR;
    engine->attributes[CUDNN_ATTR_ENGINE_OPERATION_GRAPH] =
        heuristics.attributes.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    engine->set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, setting.index);
    if (check_engine(*engine) != CUDNN_STATUS_SUCCESS) continue;
    engine->finalized = true;
    BackendDescriptor configuration{CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, true, {}};
    configuration.attributes[CUDNN_ATTR_ENGINECFG_ENGINE] = {1, {}, {engine}};
    if (setting.tile) {
      auto choice = std::make_shared<BackendDescriptor>();
      choice->type = CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR;
      choice->finalized = true;
      choice->set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_KNOB_TYPE_TILE_SIZE);
      choice->set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, *setting.tile);
      configuration.attributes[CUDNN_ATTR_ENGINECFG_KNOB_CHOICES] = {1, {}, {choice}};
    }
    configurations.push_back(std::move(configuration));
  }
  return configurations;
}

std::vector<cudnnBackendNumericalNote_t> numerical_notes(const BackendDescriptor& engine) {
  std::vector<cudnnBackendNumericalNote_t> notes;
  if (engine_of(engine).tensor_cores) notes.push_back(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
  if (engine_of(engine).note) notes.push_back(*engine_of(engine).note);
  return notes;
}

std::vector<cudnnBackendBehaviorNote_t> behavior_notes(const BackendDescriptor& engine) {
  if (engine_of(engine).compiled_at_run_time) return {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION};
  return {};
}

std::int64_t workspace_bytes(const BackendDescriptor& plan) {
  const PlannedConvolution planned = planned_by(plan);
  return static_cast<std::int64_t>(workspace_bytes(planned.operation.convolution, planned.algorithm));
}

cudnnStatus_t execute(cudnnHandle_t handle, const BackendDescriptor& plan, const BackendDescriptor& pack) {
  const PlannedConvolution planned = planned_by(plan);
  const auto& [operation, names, convolution] = planned.operation;
  void* const x = find_data(pack, planned.operation.id(names.x));
  void* const w = find_data(pack, planned.operation.id(names.w));
  void* const y = find_data(pack, planned.operation.id(names.y));
  if (!lies_aligned(x, operation.descriptor(names.x)) || !lies_aligned(w, operation.descriptor(names.w)) ||
      !lies_aligned(y, operation.descriptor(names.y))) {
    return cudnn_bad_parameter("a tensor is not aligned as it says");
  }
  void* const workspace = pack.has(CUDNN_ATTR_VARIANT_PACK_WORKSPACE)
                              ? pack.value<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE)
                              : nullptr;
  // The interface is not told the size of the workspace.
  const std::size_t bytes = workspace_bytes(convolution, planned.algorithm);
  ConvolutionData data{x, w, y, workspace, bytes};
  if (names.direction == Direction::backward_data) data = {w, y, x, workspace, bytes};
  if (names.direction == Direction::backward_filter) data = {x, y, w, workspace, bytes};
  return enqueue_convolution(handle, "cudnnBackendExecute", convolution, names.direction, planned.algorithm,
                             operation.value<float>(names.alpha), operation.value<float>(names.beta), data);
}

}  // namespace tardigrad::emulation
