#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "models/cuda/blueprint/blueprint.h"
#include "models/cuda/layers/convolution.h"
#include "models/cuda/layers/kernel_stages.h"
#include "models/cuda/layers/linear_layer.h"
#include "models/cuda/side_stream.h"
#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"

namespace tardigrad::models::cuda {

/// Says how a network computes: the way, and the algorithms. It is good for any network of the
/// same architecture and batch on the same kind of device.
struct Plan {
  WayToCompute way;
  std::vector<ConvolutionAlgorithms> convolutions;
  std::vector<LinearAlgorithms> linears;
  /// Is what the first convolution would take, where it is fused with what follows it.
  std::optional<ConvolutionAlgorithms> first_convolution = {};

  /// Returns the plan with the first layers fused, of a network that begins with a convolution; or apart. The
  /// rest stays as it is.
  Plan fused() const;
  Plan unfused() const;

  /// Returns the plan with algorithms of cuDNN's legacy interface in place of engines.
  Plan legacy() const;

  bool has_engines() const;

  std::size_t workspace_bytes() const;

  /// Returns those of the gradients of weights alone.
  std::size_t weight_workspace_bytes() const;
};

/// Is a network with all that a stream needs to compute with it. Whoever calls puts the minibatch
/// into its memory().
///
/// The functions enqueue their work on the stream given, whose device must be current, or on one of their own
/// that it then waits for, and return; they throw what kernels and libraries do. `parameters` and `gradient`
/// have the architecture's layout and are aligned to 16 bytes (std::logic_error). One host thread at a time
/// calls it, for one stream after another. The kernels are the same in every call, so a call may be captured
/// into a CUDA graph once it has been made directly.
class Network {
 public:
  /// Lays the network out in memory. Throws std::invalid_argument as make_blueprint does, DeviceError if
  /// memory cannot be had.
  Network(const StreamRef& stream, const Architecture& architecture, int batch, const WayToCompute& way);

  const Blueprint& blueprint() const { return blueprint_; }

  /// Chooses algorithms (convolution.h, linear_layer.h), with scratch and waiting as it takes. It must not be
  /// called while work is captured. Throws DeviceError where there are none.
  Plan choose(CudaStream stream, const Search& search);

  /// Adds engines of cuDNN's graph interface to a plan of choose() for this network, where they are faster
  /// (convolution.h). It waits, and must not be called while work is captured, as for choose().
  void add_engines(CudaStream stream, const Search& search, Plan& plan);

  /// Tells whether the plan is one for as many layers as this network has.
  bool fits(const Plan& plan) const;

  /// Takes a plan, of any way with the same precision, format and first layers, and allocates the workspace
  /// on the constructor's stream. It must be called before the following. Throws std::logic_error for a plan
  /// that does not fit.
  void use(const Plan& plan);

  /// Returns its memory, as the blueprint lays it out.
  LaidOutMemory memory() { return {blueprint_, memory_.ref().data()}; }

  /// Enqueues gradient ← that of the mean cross-entropy over the minibatch, with the masks; *loss ← the mean.
  /// `loss` may be pinned host memory.
  void gradient(CudaStream stream, const float* parameters, float* gradient, float* loss);

  /// Enqueues losses[k], hits[k] ← those of the first `count` ≤ batch examples (softmax_cross_entropy.h).
  void evaluate(CudaStream stream, const float* parameters, int count, float* losses, std::uint8_t* hits);

 private:
  template <typename Function>
  void measure(CudaStream stream, const Search& search, const Function& function);
  Execution execution(CudaStream stream);
  Pass pass(CudaStream stream, const float* parameters, float* gradient);
  void* at(std::size_t offset) { return memory().at(offset); }
  const void* value(const Parameter& parameter, const float* parameters);
  void* gradient_of(const Parameter& parameter, float* gradient);
  LinearOperands operands(const Pass& pass, const LinearStage& stage);

  void forward(const Execution& execution, const Pass& pass);
  void backward(const Execution& execution, const Pass& pass);
  void backward_stages(const Execution& execution, const Pass& pass);
  // `beside`: whether the gradients of parameters are computed beside what follows.
  void backward(const Execution& execution, const Pass& pass, const ConvolutionStage& stage, bool beside);
  void backward(const Execution& execution, const Pass& pass, const LinearStage& stage, bool beside);
  template <typename Number>
  void pack(CudaStream stream, const float* parameters);
  template <typename Number>
  void unpack(CudaStream stream, float* gradient);
  template <typename Number>
  void differentiate_loss(CudaStream stream, float* loss);
  template <typename Number>
  void measure_loss(CudaStream stream, int count, float* losses, std::uint8_t* hits);

  StreamRef stream_;
  Blueprint blueprint_;
  std::size_t dimension_;
  int classes_;
  Libraries libraries_;
  std::vector<Convolution> convolutions_;
  std::vector<LinearLayer> linears_;
  Buffer<std::byte> memory_;
  std::optional<Buffer<std::byte>> workspace_;
  std::optional<SideStream> beside_;
};

}  // namespace tardigrad::models::cuda
