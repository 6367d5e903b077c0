#pragma once

#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace tardigrad::emulation {

struct BackendDescriptor;

/// What an attribute of a descriptor was set to: numbers and pointers as they lie in memory, or descriptors,
/// which live on when their owner destroys them.
struct BackendAttribute {
  std::int64_t count = 0;
  std::vector<std::byte> bytes;
  std::vector<std::shared_ptr<const BackendDescriptor>> descriptors;

  template <typename Value>
  Value at(std::size_t i) const {
    return reinterpret_cast<const Value*>(bytes.data())[i];
  }
};

/// A descriptor of cuDNN's graph interface, which cudnnBackendDescriptor_t points to.
struct BackendDescriptor {
  cudnnBackendDescriptorType_t type{};
  bool finalized = false;
  std::map<cudnnBackendAttributeName_t, BackendAttribute> attributes;

  bool has(cudnnBackendAttributeName_t name) const { return attributes.contains(name); }
  template <typename Value>
  Value value(cudnnBackendAttributeName_t name, std::size_t i = 0) const {
    return attributes.at(name).at<Value>(i);
  }
  const BackendDescriptor& descriptor(cudnnBackendAttributeName_t name) const {
    return *attributes.at(name).descriptors.front();
  }
  template <typename Value>
  void set(cudnnBackendAttributeName_t name, Value value) {
    const auto* begin = reinterpret_cast<const std::byte*>(&value);
    attributes[name] = {1, {begin, begin + sizeof(value)}, {}};
  }
};

/// Check some descriptors beyond that all their attributes are set.
cudnnStatus_t check_operation_graph(const BackendDescriptor& graph);
cudnnStatus_t check_engine(const BackendDescriptor& engine);
cudnnStatus_t check_engine_configuration(const BackendDescriptor& configuration);
cudnnStatus_t check_execution_plan(const BackendDescriptor& plan);

/// The engine configurations that the heuristics name, the first one first.
std::vector<BackendDescriptor> engine_configurations(const BackendDescriptor& heuristics);

std::vector<cudnnBackendNumericalNote_t> numerical_notes(const BackendDescriptor& engine);
std::vector<cudnnBackendBehaviorNote_t> behavior_notes(const BackendDescriptor& engine);
std::int64_t workspace_bytes(const BackendDescriptor& plan);

/// Enqueues what a plan computes on what a variant pack names.
cudnnStatus_t execute(cudnnHandle_t handle, const BackendDescriptor& plan, const BackendDescriptor& pack);

}  // namespace tardigrad::emulation
