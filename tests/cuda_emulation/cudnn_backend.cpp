// Descriptors of cuDNN's graph interface: which attributes they have, setting and reading them.
#include "tests/cuda_emulation/cudnn_backend.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "tests/cuda_emulation/cudnn_descriptors.h"

namespace tardigrad::emulation {
namespace {

constexpr std::int64_t any_number = 1000;

/// An attribute that can be set.
struct Rule {
  cudnnBackendDescriptorType_t of;
  cudnnBackendAttributeName_t name;
  cudnnBackendAttributeType_t type;
  std::int64_t least = 1;
  std::int64_t most = 1;
  bool required = true;
};

constexpr auto other = CUDNN_TYPE_BACKEND_DESCRIPTOR;
constexpr auto number = CUDNN_TYPE_INT64;

constexpr Rule rules[] = {
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, number},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, number},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DIMENSIONS, number, 4, 4},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_STRIDES, number, 4, 4},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, number},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_DILATIONS, number, 2, 2},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, number, 2, 2},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, number, 2, 2},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, number, 2, 2},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
     CUDNN_TYPE_FLOAT},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
     CUDNN_TYPE_FLOAT},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, other},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_TYPE_FLOAT},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, CUDNN_TYPE_FLOAT},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_OPS, other},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, other},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE},
    {CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, other},
    {CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, number},
    {CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE},
    {CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, number},
    {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_ATTR_ENGINECFG_ENGINE, other},
    {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, other, 1, any_number, false},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, other},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, number, 1, any_number},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 1,
     any_number},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, 1,
     false},
};

std::size_t bytes_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE:
      return 8;
    default:
      return 4;  // enumerations, and float
  }
}

/// What a cudnnBackendDescriptor_t points to: others may hold the descriptor, too.
using Holder = std::shared_ptr<BackendDescriptor>;

Holder& holder_of(cudnnBackendDescriptor_t descriptor) { return *static_cast<Holder*>(descriptor); }

const Rule* find_rule(cudnnBackendDescriptorType_t of, cudnnBackendAttributeName_t name) {
  const auto* const rule =
      std::ranges::find_if(rules, [&](const Rule& one) { return one.of == of && one.name == name; });
  return rule == std::end(rules) ? nullptr : rule;
}

cudnnStatus_t check_all_set(const BackendDescriptor& descriptor) {
  for (const Rule& rule : rules) {
    if (rule.of == descriptor.type && rule.required && !descriptor.has(rule.name)) {
      return cudnn_bad_parameter("an attribute is not set");
    }
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_beyond(const BackendDescriptor& descriptor) {
  switch (descriptor.type) {
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
      return check_operation_graph(descriptor);
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
      return check_engine(descriptor);
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
      return check_engine_configuration(descriptor);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
      return check_execution_plan(descriptor);
    default:
      return CUDNN_STATUS_SUCCESS;
  }
}

/// Where the caller of cudnnBackendGetAttribute() wants values.
struct Wanted {
  std::int64_t most;
  std::int64_t* count;
  void* values;
};

/// How many are given; or, where none is wanted, how many there are.
void count(std::size_t size, const Wanted& wanted) {
  const auto all = static_cast<std::int64_t>(size);
  *wanted.count = wanted.most == 0 ? all : std::min(all, wanted.most);
}

template <typename Value>
cudnnStatus_t give(const std::vector<Value>& values, const Wanted& wanted) {
  count(values.size(), wanted);
  if (wanted.values) std::copy_n(values.begin(), *wanted.count, static_cast<Value*>(wanted.values));
  return CUDNN_STATUS_SUCCESS;
}

/// Into descriptors that the caller has made for them.
cudnnStatus_t give_descriptors(const std::vector<BackendDescriptor>& descriptors, const Wanted& wanted) {
  count(descriptors.size(), wanted);
  if (!wanted.values) return CUDNN_STATUS_SUCCESS;
  auto* const places = static_cast<cudnnBackendDescriptor_t*>(wanted.values);
  for (std::int64_t i = 0; i < *wanted.count; ++i) {
    const BackendDescriptor& from = descriptors[static_cast<std::size_t>(i)];
    if (!places[i]) return cudnn_null_pointer();
    if (holder_of(places[i])->type != from.type) {
      return cudnn_bad_parameter("the descriptor for a result is of another type");
    }
    *holder_of(places[i]) = from;
  }
  return CUDNN_STATUS_SUCCESS;
}

/// What can be read but not set; nothing for any other attribute.
std::optional<cudnnStatus_t> give_result(const BackendDescriptor& of, cudnnBackendAttributeName_t name,
                                         const Wanted& wanted) {
  if (of.type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR && name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
    return give_descriptors(engine_configurations(of), wanted);
  }
  if (of.type == CUDNN_BACKEND_ENGINE_DESCRIPTOR && name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE) {
    return give(numerical_notes(of), wanted);
  }
  if (of.type == CUDNN_BACKEND_ENGINE_DESCRIPTOR && name == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE) {
    return give(behavior_notes(of), wanted);
  }
  if (of.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR &&
      name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
    return give(std::vector{workspace_bytes(of)}, wanted);
  }
  return std::nullopt;
}

cudnnStatus_t give_attribute(const BackendAttribute& attribute, const Wanted& wanted) {
  if (!attribute.descriptors.empty()) {
    std::vector<BackendDescriptor> descriptors;
    for (const auto& one : attribute.descriptors) descriptors.push_back(*one);
    return give_descriptors(descriptors, wanted);
  }
  count(static_cast<std::size_t>(attribute.count), wanted);
  if (wanted.values && attribute.count > 0) {
    const std::size_t each = attribute.bytes.size() / static_cast<std::size_t>(attribute.count);
    std::memcpy(wanted.values, attribute.bytes.data(), each * static_cast<std::size_t>(*wanted.count));
  }
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace
}  // namespace tardigrad::emulation

using namespace tardigrad::emulation;

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  if (!descriptor) return cudnn_null_pointer();
  if (std::ranges::find(rules, type, &Rule::of) == std::end(rules)) {
    return cudnn_failure(CUDNN_STATUS_NOT_SUPPORTED, "descriptors of this type are not emulated");
  }
  *descriptor = new Holder(std::make_shared<BackendDescriptor>(BackendDescriptor{type, false, {}}));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  if (descriptor) delete &holder_of(descriptor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  if (!descriptor || !values) return cudnn_null_pointer();
  BackendDescriptor& of = *holder_of(descriptor);
  if (of.finalized) return cudnn_failure(CUDNN_STATUS_NOT_INITIALIZED, "the descriptor is finalised already");
  const Rule* const rule = find_rule(of.type, name);
  if (!rule || rule->type != type) {
    return cudnn_bad_parameter("the descriptor has no such attribute of that type");
  }
  if (count < rule->least || count > rule->most) {
    return cudnn_bad_parameter("an attribute has too few or too many values");
  }
  BackendAttribute attribute{count, {}, {}};
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto within = static_cast<const cudnnBackendDescriptor_t*>(values)[i];
      if (!within) return cudnn_null_pointer();
      if (!holder_of(within)->finalized) return cudnn_bad_parameter("a descriptor within is not finalised");
      attribute.descriptors.push_back(holder_of(within));
    }
  } else {
    const auto* const bytes = static_cast<const std::byte*>(values);
    attribute.bytes.assign(bytes, bytes + static_cast<std::size_t>(count) * bytes_of(type));
  }
  of.attributes[name] = std::move(attribute);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor,
                                       cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                       int64_t most, int64_t* count, void* values) {
  if (!descriptor || !count) return cudnn_null_pointer();
  const BackendDescriptor& of = *holder_of(descriptor);
  if (!of.finalized) return cudnn_failure(CUDNN_STATUS_NOT_INITIALIZED, "the descriptor is not finalised");
  const Wanted wanted{most, count, values};
  if (const auto status = give_result(of, name, wanted)) return *status;
  const Rule* const rule = find_rule(of.type, name);
  if (!rule || rule->type != type) {
    return cudnn_bad_parameter("the descriptor has no such attribute of that type");
  }
  const auto found = of.attributes.find(name);
  return give_attribute(found == of.attributes.end() ? BackendAttribute() : found->second, wanted);
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  if (!descriptor) return cudnn_null_pointer();
  BackendDescriptor& of = *holder_of(descriptor);
  cudnnStatus_t status = check_all_set(of);
  if (status == CUDNN_STATUS_SUCCESS) status = check_beyond(of);
  of.finalized = status == CUDNN_STATUS_SUCCESS;
  return status;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  if (!handle || !plan || !pack) return cudnn_null_pointer();
  const BackendDescriptor& its_plan = *holder_of(plan);
  const BackendDescriptor& its_pack = *holder_of(pack);
  if (its_plan.type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || !its_plan.finalized ||
      its_pack.type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR || !its_pack.finalized) {
    return cudnn_bad_parameter("expected a plan and a variant pack, both finalised");
  }
  return execute(handle, its_plan, its_pack);
}
