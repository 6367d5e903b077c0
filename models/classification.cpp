#include "models/classification.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>

#include "models/class_accuracy.h"
#include "models/gather.h"
#include "runtime/base/start_thread.h"

namespace tardigrad::models {
namespace {

/// Throws std::invalid_argument where there are not as many batch sizes as workers.
const data::BatchSizes& checked(const data::BatchSizes& sizes, int workers) {
  if (sizes.good_for(workers)) return sizes;
  throw std::invalid_argument(fmt::format(
      "{} batch sizes for {} workers; expected one for all, or one for each", sizes.sizes().size(), workers));
}

/// Images evaluated at once by one thread, at most.
constexpr std::size_t largest_evaluation_batch = 250;

/// sample_gradient() takes so many training images, at least. With 32 the smoothness of the mlp on
/// Fashion-MNIST came out between 21 and 52, over partitions and seeds; with 256 between 14.5 and 20.8.
constexpr std::size_t sample_examples = 256;

/// What these may take of memory, but for one image.
constexpr std::size_t most_evaluation_bytes = std::size_t{256} << 20;

/// What a network and a minibatch for it take on a CPU, but for what oneDNN packs and pads.
std::size_t bytes_of(const Architecture& architecture, std::size_t batch_size) {
  return batch_size * (architecture.input().size() + architecture.activations()) * sizeof(float);
}

/// Images evaluated at once, of so many: fewer of a large network, or where there are fewer, since a batch is
/// computed whole.
std::size_t evaluation_batch(const Architecture& architecture, std::size_t images) {
  const std::size_t most = std::max<std::size_t>(1, most_evaluation_bytes / bytes_of(architecture, 1));
  return std::min({largest_evaluation_batch, most, images});
}

std::size_t divide_up(std::size_t dividend, std::size_t divisor) {
  return (dividend + divisor - 1) / divisor;
}

/// As share_out() does, until it is time to break off. Throws BrokenOff. What is begun does not throw, since
/// others may wait for its end.
template <typename Work>
void evaluate_in_parallel(std::size_t count, std::size_t threads, const BreakOff& break_off,
                          const Work& work) {
  const auto whole = [&](std::size_t thread, std::size_t i) noexcept { work(thread, i); };
  if (!share_out("evaluations", count, threads, whole, [&] { return break_off.due(); })) throw BrokenOff();
}

}  // namespace

class Classification::CpuEngine final : public GradientEngine {
 public:
  CpuEngine(Classification& owner, std::size_t batch_size, const StreamRef& stream)
      : owner_(owner),
        stream_(stream),
        batch_(owner.dataset_->train.shape, batch_size),
        crops_(owner.options_.augment ? batch_size : 0),
        classifier_(make_classifier(owner.architecture_, static_cast<int>(batch_size))) {}

  void enqueue_minibatch(int worker, std::uint64_t job) override {
    stream_.host("minibatch", [this, worker, job] {
      classifier_->use_masks(
          MaskKey{.seed = owner_.options_.seed, .worker = static_cast<std::uint64_t>(worker), .job = job});
      owner_.minibatches_.draw(worker, job, batch_.examples(), crops_);
      batch_.gather(owner_.dataset_->train, owner_.dataset_->normalisation, batch_.examples().size(),
                    crops_.empty() ? nullptr : crops_.data());
    });
  }

  void enqueue_gradient(int, BufferRef<const float> model, BufferRef<float> gradient, float* loss) override {
    stream_.host("gradient", [this, model, gradient, loss] {
      *loss = classifier_->gradient(model.data(), batch_.images(), batch_.labels(), gradient.data());
    });
  }

 private:
  Classification& owner_;
  StreamRef stream_;
  GatheredBatch batch_;
  std::vector<Crop> crops_;  // empty without augmentation
  std::unique_ptr<Classifier> classifier_;
};

/// Has an engine for each size that minibatches have. Only the one whose worker is being served computes.
class Classification::EngineOfSizes final : public GradientEngine {
 public:
  EngineOfSizes(Classification& owner, std::span<const std::size_t> sizes, const StreamRef& stream)
      : batch_size_(owner.options_.batch_size) {
    for (const std::size_t size : sizes) engines_.emplace(size, owner.make_engine_of(size, stream));
  }

  void enqueue_minibatch(int worker, std::uint64_t job) override {
    of(worker).enqueue_minibatch(worker, job);
  }

  void enqueue_gradient(int worker, BufferRef<const float> model, BufferRef<float> gradient,
                        float* loss) override {
    of(worker).enqueue_gradient(worker, model, gradient, loss);
  }

 private:
  GradientEngine& of(int worker) { return *engines_.at(batch_size_.of(worker)); }

  data::BatchSizes batch_size_;
  std::map<std::size_t, std::unique_ptr<GradientEngine>> engines_;
};

/// Evaluates batches of test images on a CPU; one thread's scratch.
class Classification::TestBatches {
 public:
  explicit TestBatches(const Classification& owner)
      : owner_(owner),
        batch_(owner.dataset_->test.shape,
               evaluation_batch(owner.architecture_, owner.dataset_->test.size())),
        classifier_(make_classifier(owner.architecture_, static_cast<int>(batch_.examples().size()))) {}

  /// The sum of the losses of the batch that begins there. `hits` are those of all test images.
  double evaluate(std::span<const float> model, std::size_t begin, std::span<std::uint8_t> hits) {
    const data::Images& test = owner_.dataset_->test;
    const std::size_t count = std::min(batch_.examples().size(), test.size() - begin);
    for (std::size_t i = 0; i < count; ++i) batch_.examples()[i] = static_cast<std::uint32_t>(begin + i);
    batch_.gather(test, owner_.dataset_->normalisation, count, nullptr);
    return classifier_->evaluate(model.data(), batch_.images(), batch_.labels(), static_cast<int>(count),
                                 hits.subspan(begin).data());
  }

 private:
  const Classification& owner_;
  GatheredBatch batch_;
  std::unique_ptr<Classifier> classifier_;
};

/// Batches of workers' training images, each within one share, for the mean over these workers of f and its
/// gradient, on the host. They are the first images of each share, as many of each as make at least `bound`,
/// or all where that is 0.
class Classification::TrainingBatches {
 public:
  /// Is of every worker, or of so many, evenly spaced.
  TrainingBatches(const Classification& owner, std::size_t bound,
                  std::size_t most_workers = std::numeric_limits<std::size_t>::max())
      : owner_(owner) {
    const auto& shares = owner.minibatches_.shares();
    const std::size_t workers = std::min(shares.size(), most_workers);
    const std::size_t most = bound > 0 ? divide_up(bound, workers) : owner.examples();
    std::vector<std::span<const std::uint32_t>> parts;
    std::size_t largest = 0;
    for (std::size_t i = 0; i < workers; ++i) {
      const auto& share = shares[i * shares.size() / workers];
      parts.push_back(std::span(share).first(std::min(share.size(), most)));
      largest = std::max(largest, parts.back().size());
    }
    batch_size_ = divide_up(largest, divide_up(largest, evaluation_batch(owner.architecture_, largest)));
    for (const auto examples : parts) {
      for (std::size_t begin = 0; begin < examples.size(); begin += batch_size_) {
        const auto batch = examples.subspan(begin, std::min(batch_size_, examples.size() - begin));
        batches_.push_back(
            {batch, static_cast<double>(batch.size()) / static_cast<double>(examples.size() * workers)});
      }
    }
  }

  /// f(model), and its gradient unless that is empty. Batches are added in their order, so the sum is the
  /// same for any number of threads.
  double evaluate(std::span<const float> model, std::span<double> gradient, std::size_t threads,
                  const BreakOff& break_off) {
    threads = std::min(threads, batches_.size());
    while (scratch_.size() < threads) scratch_.push_back(std::make_unique<Scratch>(owner_, batch_size_));
    std::ranges::fill(gradient, 0.0);
    std::vector<double> losses(batches_.size());
    std::atomic<std::size_t> turn{0};
    evaluate_in_parallel(batches_.size(), threads, break_off, [&](std::size_t thread, std::size_t i) {
      losses[i] = batches_[i].weight * mean_loss(*scratch_[thread], batches_[i], model, !gradient.empty());
      if (gradient.empty()) return;
      for (std::size_t now = turn; now != i; now = turn) turn.wait(now);
      for (std::size_t k = 0; k < gradient.size(); ++k) {
        gradient[k] += batches_[i].weight * static_cast<double>(scratch_[thread]->gradient[k]);
      }
      turn = i + 1;
      turn.notify_all();
    });
    return std::accumulate(losses.begin(), losses.end(), 0.0);
  }

 private:
  struct Batch {
    std::span<const std::uint32_t> examples;
    double weight;  // of their mean in f
  };

  /// Of one thread.
  struct Scratch {
    Scratch(const Classification& owner, std::size_t batch_size)
        : batch(owner.dataset_->train.shape, batch_size),
          classifier(make_classifier(owner.architecture_, static_cast<int>(batch_size))) {}

    GatheredBatch batch;
    std::unique_ptr<Classifier> classifier;
    std::vector<float> gradient;
  };

  double mean_loss(Scratch& scratch, const Batch& part, std::span<const float> model, bool with_gradient) {
    const auto count = static_cast<int>(part.examples.size());
    std::ranges::copy(part.examples, scratch.batch.examples().begin());
    scratch.batch.gather(owner_.dataset_->train, owner_.dataset_->normalisation, part.examples.size(),
                         nullptr);
    const float* images = scratch.batch.images();
    const std::int32_t* labels = scratch.batch.labels();
    if (!with_gradient) {
      return scratch.classifier->evaluate(model.data(), images, labels, count, nullptr) / count;
    }
    scratch.gradient.resize(model.size());
    return static_cast<double>(
        scratch.classifier->gradient_of(model.data(), images, labels, count, scratch.gradient.data()));
  }

  const Classification& owner_;
  std::size_t batch_size_ = 0;
  std::vector<Batch> batches_;
  std::vector<std::unique_ptr<Scratch>> scratch_;
};

Classification::Classification(std::shared_ptr<const data::Dataset> dataset, Architecture architecture,
                               const ClassificationOptions& options)
    : dataset_(std::move(dataset)),
      architecture_(std::move(architecture)),
      options_(options),
      minibatches_(
          data::partition(dataset_->train.labels, dataset_->classes, options.workers, options.partition,
                          options.partition_seed.value_or(options.seed), dataset_->owners),
          checked(options.batch_size, options.workers), options.sampling, options.seed, options.augment) {
  if (options.evaluation_threads < 0) {
    throw std::invalid_argument(
        fmt::format("{} evaluation threads; expected 0 (all) or more", options.evaluation_threads));
  }
}

Classification::~Classification() = default;

void Classification::initialise(std::span<float> model, std::uint64_t seed) const {
  models::initialise(architecture_, model, seed);
}

/// Without repetition, in ascending order.
std::vector<std::size_t> Classification::batch_sizes_of(std::span<const int> workers) const {
  std::vector<std::size_t> sizes;
  for (const int worker : workers) sizes.push_back(options_.batch_size.of(worker));
  if (workers.empty()) sizes.assign(options_.batch_size.sizes().begin(), options_.batch_size.sizes().end());
  std::ranges::sort(sizes);
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

std::unique_ptr<GradientEngine> Classification::make_engine(const StreamRef& stream,
                                                            std::span<const int> workers) {
  const std::vector<std::size_t> sizes = batch_sizes_of(workers);
  if (sizes.size() == 1) return make_engine_of(sizes.front(), stream);
  return std::make_unique<EngineOfSizes>(*this, sizes, stream);
}

std::unique_ptr<GradientEngine> Classification::make_engine_of(std::size_t batch_size,
                                                               const StreamRef& stream) {
  if constexpr (built_with_cuda) {
    if (stream.device().backend == Backend::cuda) {
      return cuda::make_engine(stream, {*dataset_, architecture_, minibatches_, options_.seed, batch_size},
                               training_images(stream), options_.network);
    }
  }
  require_cpu_precision(options_.network.precision);
  return std::make_unique<CpuEngine>(*this, batch_size, stream);
}

/// On the stream's GPU; uploaded by the first stream that asks.
std::shared_ptr<const cuda::DeviceImages> Classification::training_images(
    [[maybe_unused]] const StreamRef& stream) {
  if constexpr (built_with_cuda) {
    for (const auto& images : training_images_) {
      if (images->device() == stream.device()) return images;
    }
    training_images_.push_back(std::make_shared<const cuda::DeviceImages>(stream, dataset_->train));
    return training_images_.back();
  }
  return nullptr;
}

std::size_t Classification::gradients_at_once(Backend backend) const {
  if constexpr (built_with_cuda) {
    const std::vector<std::size_t> sizes = batch_sizes_of({});
    if (backend == Backend::cuda && sizes.size() == 1) {
      return cuda::gradients_at_once(architecture_, sizes.front());
    }
  }
  return 1;
}

EngineMemory Classification::engine_memory(Device device, std::span<const int> workers) const {
  EngineMemory memory;
  if (device.backend == Backend::cpu) {
    for (const std::size_t size : batch_sizes_of(workers)) {
      memory.engine_bytes += bytes_of(architecture_, size);
    }
    if (device == options_.evaluation_device) {
      memory.shared_bytes = evaluation_threads() *
                            bytes_of(architecture_, evaluation_batch(architecture_, dataset_->test.size()));
    }
    return memory;
  }
  if constexpr (built_with_cuda) {
    memory.shared_bytes = cuda::DeviceImages::bytes(dataset_->train);
    if (device == options_.evaluation_device) {
      memory.shared_bytes += cuda::evaluator_bytes(*dataset_, architecture_, options_.network);
    }
    for (const std::size_t batch_size : batch_sizes_of(workers)) {
      memory.engine_bytes += cuda::engine_bytes(architecture_, batch_size, options_.network);
    }
  }
  return memory;
}

Evaluation Classification::evaluate(std::span<const float> model, const BreakOff& break_off) {
  if constexpr (built_with_cuda) {
    if (options_.evaluation_device.backend == Backend::cuda) {
      if (!evaluator_) {
        evaluator_ =
            cuda::make_evaluator(options_.evaluation_device, *dataset_, architecture_, options_.network);
      }
      return evaluator_->evaluate(model, break_off);
    }
  }
  return evaluate_on_cpu(model, break_off);
}

double Classification::full_gradient(std::span<const float> model, std::span<double> gradient,
                                     const BreakOff& break_off) {
  if (!training_batches_) {
    training_batches_ = std::make_unique<TrainingBatches>(*this, options_.evaluation_examples);
  }
  return training_batches_->evaluate(model, gradient, evaluation_threads(), break_off);
}

bool Classification::sample_gradient(std::span<const float> model, std::span<double> gradient,
                                     const BreakOff& break_off) {
  if (!sample_) sample_ = std::make_unique<TrainingBatches>(*this, sample_examples, sample_examples);
  sample_->evaluate(model, gradient, evaluation_threads(), break_off);
  return true;
}

std::size_t Classification::evaluation_threads() const {
  const int threads = options_.evaluation_threads > 0 ? options_.evaluation_threads : default_cpu_devices();
  return static_cast<std::size_t>(threads);
}

/// Threads take batches as they come; the sum runs over the batches in their order, so it is the same for any
/// number of threads.
Evaluation Classification::evaluate_on_cpu(std::span<const float> model, const BreakOff& break_off) {
  const std::size_t batch = evaluation_batch(architecture_, dataset_->test.size());
  const std::size_t batches = divide_up(dataset_->test.size(), batch);
  const std::size_t threads = std::min(batches, evaluation_threads());
  while (evaluators_.size() < threads) evaluators_.push_back(std::make_unique<TestBatches>(*this));
  std::vector<double> loss_sums(batches);
  std::vector<std::uint8_t> hits(dataset_->test.size());
  evaluate_in_parallel(batches, threads, break_off, [&](std::size_t thread, std::size_t i) {
    loss_sums[i] = evaluators_[thread]->evaluate(model, i * batch, hits);
  });
  return evaluation_of(std::accumulate(loss_sums.begin(), loss_sums.end(), 0.0), hits, dataset_->test.labels,
                       dataset_->classes);
}

}  // namespace tardigrad::models
