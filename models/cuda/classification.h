#pragma once

#include <memory>
#include <span>
#include <string>

#include "data/dataset.h"
#include "data/minibatch_source.h"
#include "kernels/gather_images.h"
#include "models/architecture.h"
#include "models/precision.h"
#include "runtime/objective/objective.h"

/// Declares what Classification needs of CUDA; this header needs nothing of it. It is defined in builds with
/// CUDA only.
namespace tardigrad::models::cuda {

/// Says how networks on GPUs compute, beside their architecture and batch size.
struct NetworkOptions {
  Precision precision = Precision::fp32;
  bool deterministic = false;  ///< Identical bits in every run: nothing is measured, nothing adds atomically.
  bool graphs = true;          ///< Relaunch steps as CUDA graphs.
  bool one_stream = false;     ///< No step uses a second stream, though it were faster.
  bool unfused = false;        ///< First layers are not fused (FirstLayers), though it were faster.
  bool legacy = false;         ///< No engines of cuDNN's graph interface, though they were faster.
  std::size_t workspace_limit = std::size_t{256} << 20;  ///< Bytes of scratch for cuDNN and cuBLASLt.
  std::string plan_folder = {};  ///< Where plans are kept from run to run; nowhere where it is empty.
  bool choose_anew = false;      ///< A plan that is kept there is not taken, but replaced.

  bool operator==(const NetworkOptions&) const = default;
};

/// Holds images and labels as they are, in the memory of a device. All its streams may read them.
class DeviceImages {
 public:
  /// Uploads them through the stream, and waits. Throws DeviceError if memory cannot be had.
  DeviceImages(const StreamRef& stream, const data::Images& images);

  Device device() const { return labels_.device(); }
  /// Lets a gathering read them.
  void give_to(GatherImages& gather) const;

  static std::size_t bytes(const data::Images& images);

 private:
  bool in_floats_;
  Buffer<std::byte> pixels_;  // or floats
  Buffer<data::Label> labels_;
};

/// Holds what engines of one objective share, which outlives them, and the size of the minibatches of one.
struct TrainingData {
  const data::Dataset& dataset;
  const Architecture& architecture;
  data::MinibatchSource& minibatches;
  std::uint64_t seed;  ///< Of the masks of dropout.
  std::size_t batch_size;
};

/// Makes an engine on a stream of a GPU, for workers with minibatches of that size, which keeps `images`, the
/// training images there. Throws DeviceError.
std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream, const TrainingData& data,
                                            std::shared_ptr<const DeviceImages> images,
                                            const NetworkOptions& options);

/// Returns how many gradients such an engine computes at once (GradientEngine::enqueue_gradients).
std::size_t gradients_at_once(const Architecture& architecture, std::size_t batch_size);

/// Evaluates models on the test images.
class Evaluator {
 public:
  Evaluator() = default;
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;
  virtual ~Evaluator() = default;

  /// Evaluates `model` [d], which lies in host memory. Throws DeviceError, and BrokenOff soon after it is
  /// time to.
  virtual Evaluation evaluate(std::span<const float> model, const BreakOff& break_off) = 0;
};

/// Makes an evaluator on a stream of its own on a GPU, in fp32 and by fixed algorithms, whatever training
/// uses: evaluations can be compared, and the same model gives the same bits. The data set and the
/// architecture outlive it.
std::unique_ptr<Evaluator> make_evaluator(Device device, const data::Dataset& dataset,
                                          const Architecture& architecture, const NetworkOptions& options);

/// Returns the bytes, at most, that the evaluator takes, as engine_bytes() does for an engine. It needs no
/// GPU.
std::size_t evaluator_bytes(const data::Dataset& dataset, const Architecture& architecture,
                            const NetworkOptions& options);
std::size_t engine_bytes(const Architecture& architecture, std::size_t batch_size,
                         const NetworkOptions& options);

}  // namespace tardigrad::models::cuda
