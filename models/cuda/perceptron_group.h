#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/grouped_linear.h"
#include "models/architecture.h"
#include "models/cuda/blueprint/blueprint.h"
#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"

namespace tardigrad::models::cuda {

/// Computes the gradients of several jobs at once where the network is a multilayer perceptron: linear layers
/// with a ReLU between each two of them, or one alone. With a small minibatch such a network takes less time
/// than launching its kernels does; here one launch does a layer of all jobs, each with parameters and a
/// minibatch of its own, by kernels of ours in fp32 (kernels/grouped_linear.h), and one all that there is to
/// do about the last layer and the loss, where that layer is small (kernels/grouped_head.h). The bits of a
/// job depend on no other job, nor on how many there are.
///
/// Whoever calls puts the minibatches into its memory(), one behind the other.
class PerceptronGroup {
 public:
  /// Limits the parameters of a network: larger ones are no longer short, and their gradients need memory.
  static constexpr std::size_t most_parameters = std::size_t{1} << 20;

  /// Tells whether networks of this architecture can be computed so with minibatches of that size.
  static bool takes(const Architecture& architecture, std::size_t batch);

  /// Returns the bytes that one needs of a device.
  static std::size_t bytes(const Architecture& architecture, std::size_t batch);

  /// Lays it out in memory, for GroupOfLinears::most_jobs jobs. Throws DeviceError if memory cannot be had,
  /// std::logic_error for what it does not take.
  PerceptronGroup(const StreamRef& stream, const Architecture& architecture, std::size_t batch);

  /// Returns its memory, as the blueprint of most_jobs minibatches lays it out.
  LaidOutMemory memory() { return {blueprint_, memory_.ref().data()}; }

  /// Names the flat vectors of a job [d], in the device's memory.
  struct Job {
    const float* parameters;
    float* gradient;
  };

  /// Enqueues, for every job k, its gradient ← that of the mean cross-entropy over its minibatch, and
  /// losses[k] ← the mean. `losses` may be pinned host memory. The stream's device must be current.
  void gradients(CudaStream stream, std::span<const Job> jobs, float* losses);

 private:
  template <typename Operation>
  Operation layer(const LinearStage& stage, std::span<const Job> jobs);
  template <typename Operation>
  Operation backward_of(const LinearStage& stage, std::span<const Job> jobs);
  void forward(CudaStream stream, const LinearStage& stage, std::span<const Job> jobs);
  void backward(CudaStream stream, const LinearStage& stage, std::span<const Job> jobs);
  void differentiate_loss(CudaStream stream, std::span<const Job> jobs, float* losses);
  void compute_head(CudaStream stream, std::span<const Job> jobs, float* losses);
  float* value(ActivationId id) { return static_cast<float*>(memory().value(id)); }
  float* gradient_of(ActivationId id) { return static_cast<float*>(memory().gradient_of(id)); }

  std::size_t batch_;
  std::size_t classes_;
  Blueprint blueprint_;
  std::vector<LinearStage> layers_;
  Buffer<std::byte> memory_;
};

}  // namespace tardigrad::models::cuda
