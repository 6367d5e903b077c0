#pragma once

#include <memory>
#include <vector>

#include "data/batch_sizes.h"
#include "data/dataset.h"
#include "data/minibatch.h"
#include "data/minibatch_source.h"
#include "data/partition.h"
#include "models/classifier.h"
#include "models/cuda/classification.h"
#include "runtime/objective/objective.h"

namespace tardigrad::models {

struct ClassificationOptions {
  int workers = 1;  ///< n
  data::BatchSizes batch_size = 32;
  data::PartitionSpec partition;
  data::Sampling sampling = data::Sampling::shuffle;
  bool augment = false;    ///< Random crops and flips of the training images (MinibatchSource).
  std::uint64_t seed = 0;  ///< of partition, minibatches, augmentation and the masks of dropout
  std::optional<std::uint64_t> partition_seed = {};  ///< where the partition has one of its own
  /// Says where evaluate() computes. A CPU device stands for all of them.
  Device evaluation_device = {};
  int evaluation_threads =
      0;  ///< of evaluate() on CPUs, at most; 0: as many as there is hardware. Changes no result.
  /// Limits the training images that full_gradient() looks at, the first ones of each worker's share; 0 means
  /// all.
  std::size_t evaluation_examples = 0;
  /// Says how GPUs compute. A CPU computes in fp32 and always gives the same bits.
  cuda::NetworkOptions network = {};
};

/// Trains a network to classify the images of a data set: f_i is the mean cross-entropy over worker i's share
/// of the training images; evaluate() gives loss and accuracy over all test images, and the accuracy of each
/// class. The engine of a stream holds a network and a minibatch,
/// one of each for every size that its workers' minibatches have. On a CPU stream it gathers from the data
/// set; each GPU has a copy of the training images as bytes, uploaded by its first engine. Objects that share
/// a data set are independent otherwise: each may be used by a thread of its own.
class Classification final : public Objective {
 public:
  /// Shares out the data. Throws std::invalid_argument where it cannot (more workers than examples), for
  /// batch sizes of another number of workers, and for a negative number of threads.
  Classification(std::shared_ptr<const data::Dataset> dataset, Architecture architecture,
                 const ClassificationOptions& options);
  ~Classification() override;

  const Architecture& architecture() const { return architecture_; }
  const ParameterLayout& layout() const override { return architecture_.layout(); }
  int workers() const override { return options_.workers; }
  bool runs_on(Backend backend) const override { return backend == Backend::cpu || built_with_cuda; }
  void initialise(std::span<float> model, std::uint64_t seed) const override;
  /// Makes the engine of a stream. Throws std::invalid_argument for another precision than fp32 on a CPU and
  /// for layers that GPUs have no kernels for on one of them, as engine_memory() does, and DeviceError.
  std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream,
                                              std::span<const int> workers = {}) override;
  std::size_t gradients_at_once(Backend backend) const override;
  EngineMemory engine_memory(Device device, std::span<const int> workers = {}) const override;
  Evaluation evaluate(std::span<const float> model, const BreakOff& break_off = {}) override;
  double full_gradient(std::span<const float> model, std::span<double> gradient,
                       const BreakOff& break_off = {}) override;
  bool sample_gradient(std::span<const float> model, std::span<double> gradient,
                       const BreakOff& break_off = {}) override;
  std::size_t examples_per_job(int worker) const override { return options_.batch_size.of(worker); }
  std::size_t examples() const override { return dataset_->train.size(); }
  /// Returns the training examples of each worker.
  const std::vector<std::vector<std::uint32_t>>& shares() const { return minibatches_.shares(); }

 private:
  class CpuEngine;
  class EngineOfSizes;
  class TestBatches;
  class TrainingBatches;

  std::vector<std::size_t> batch_sizes_of(std::span<const int> workers) const;
  std::unique_ptr<GradientEngine> make_engine_of(std::size_t batch_size, const StreamRef& stream);
  std::shared_ptr<const cuda::DeviceImages> training_images(const StreamRef& stream);
  Evaluation evaluate_on_cpu(std::span<const float> model, const BreakOff& break_off);
  std::size_t evaluation_threads() const;

  std::shared_ptr<const data::Dataset> dataset_;
  Architecture architecture_;
  ClassificationOptions options_;
  data::MinibatchSource minibatches_;
  std::vector<std::shared_ptr<const cuda::DeviceImages>> training_images_;  // of each GPU with engines
  std::unique_ptr<cuda::Evaluator> evaluator_;            // on a GPU, made when first needed
  std::vector<std::unique_ptr<TestBatches>> evaluators_;  // on CPUs, one a thread, made when first needed
  std::unique_ptr<TrainingBatches> training_batches_;     // made when first needed
  std::unique_ptr<TrainingBatches> sample_;               // made when first needed
};

}  // namespace tardigrad::models
