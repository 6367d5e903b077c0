#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "models/cuda/blueprint/blueprint.h"
#include "models/cuda/layers/backend_descriptor.h"
#include "models/cuda/layers/handles.h"

namespace tardigrad::models::cuda {

enum class ConvolutionDirection { forward, backward_data, backward_weight };

/// Is one setting of an engine: cuDNN's number of the knob, and its value.
struct EngineKnob {
  int type = 0;
  std::int64_t value = 0;

  bool operator==(const EngineKnob&) const = default;
};

/// Is an engine of cuDNN's graph interface with its settings: one way to compute one direction of a
/// convolution. There are many more of these than algorithms of the legacy interface, which chooses settings
/// itself. It is good for the same convolution, version of cuDNN and kind of device.
struct ConvolutionEngine {
  std::int64_t index = 0;  ///< cuDNN's number of it among those for the direction.
  std::vector<EngineKnob> knobs;
  std::size_t workspace_bytes = 0;

  bool operator==(const ConvolutionEngine&) const = default;
};

/// Computes one direction of a convolution by an engine.
class EnginePlan {
 public:
  EnginePlan(Device device, BackendDescriptor plan) : device_(device), plan_(std::move(plan)) {}

  std::size_t workspace_bytes() const {
    return static_cast<std::size_t>(plan_.value<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
  }

  /// Names what it computes on, and its scratch, which are of the execution. Forward, `output` is written.
  /// Backward, `output` holds the gradient with respect to it, and the gradient with respect to `input` or
  /// `weight` is written in that one's place.
  BackendDescriptor operands(const Execution& execution, const void* input, const void* weight,
                             const void* output) const;

  /// Enqueues it. Throws DeviceError where that does not work.
  void enqueue(const Execution& execution, const BackendDescriptor& operands) const;

 private:
  Device device_;
  BackendDescriptor plan_;
};

/// Is an engine that is ready for use.
struct ReadyEngine {
  ConvolutionEngine engine;
  EnginePlan plan;
};

/// Describes one direction of a convolution as a graph of cuDNN's with one operation, for a batch in a
/// precision. Input, output and weights lie as those of a Convolution.
class ConvolutionGraph {
 public:
  /// Throws DeviceError where cuDNN does not take it.
  ConvolutionGraph(Device device, cudnnHandle_t cudnn, const ConvolutionStage& stage, int batch,
                   Precision precision, ConvolutionDirection direction);

  /// Returns a few of those that cuDNN's heuristics name first, the most promising first, few of them with
  /// other settings only: none that computes less exactly than the precision says, has kernels to be compiled
  /// first, wants more workspace than the search allows or has no plan after all; and for a deterministic
  /// search, none that may give other bits in another run.
  std::vector<ReadyEngine> engines(const Search& search) const;

  /// Makes an engine ready. Throws DeviceError where cuDNN has no such engine for the graph, or one that
  /// wants more workspace.
  EnginePlan plan(const ConvolutionEngine& engine) const;

 private:
  EnginePlan make_plan(const ConvolutionEngine& engine) const;
  bool is_wanted(const BackendDescriptor& engine, const Search& search) const;

  Device device_;
  cudnnHandle_t cudnn_;
  Precision precision_;
  BackendDescriptor graph_;
};

}  // namespace tardigrad::models::cuda
