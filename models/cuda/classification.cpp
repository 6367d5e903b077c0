#include "models/cuda/classification.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "kernels/dropout_mask.h"
#include "kernels/loss_sum.h"
#include "models/class_accuracy.h"
#include "models/cuda/graph_cache.h"
#include "models/cuda/plans.h"
#include "models/gather.h"
#include "runtime/device/cuda/native_call.h"
#include "runtime/device/start_times.h"

namespace tardigrad::models::cuda {
namespace {

/// Minibatches drawn by the host before the first of them is gathered.
constexpr std::size_t slots = 8;

/// Batches of test images that the host enqueues before it waits for the first of them.
constexpr std::size_t evaluations_ahead = 4;

/// With no more scratch than the layers have a use for: cuBLASLt's fastest products do with 32 MiB, so says
/// its documentation, on any GPU.
NetworkOptions options_for(const Architecture& architecture, NetworkOptions options) {
  constexpr std::size_t products = std::size_t{32} << 20;
  if (!has_convolutions(architecture)) options.workspace_limit = std::min(options.workspace_limit, products);
  return options;
}

/// Those for evaluating.
NetworkOptions evaluation_options(const Architecture& architecture, NetworkOptions options) {
  options.precision = Precision::fp32;
  options.deterministic = true;
  options.graphs = false;
  return options_for(architecture, options);
}

/// Test images evaluated at once: fewer of a large network, or where there are fewer.
std::size_t evaluation_batch(const data::Images& test, const Architecture& architecture,
                             const NetworkOptions& options) {
  constexpr std::size_t most_images = 500;
  constexpr std::size_t most_bytes = std::size_t{1} << 30;
  std::size_t batch = std::min(most_images, test.size());
  const NetworkOptions evaluation = evaluation_options(architecture, options);
  const auto fits = [&] {
    try {
      return largest_bytes(architecture, static_cast<int>(batch), evaluation.precision, true) <= most_bytes;
    } catch (const std::invalid_argument&) {  // so many images have too many elements
      return false;
    }
  };
  while (batch > 1 && !fits()) batch = (batch + 1) / 2;
  return batch;
}

std::span<const std::byte> pixel_bytes(const data::Images& images) {
  return images.in_floats() ? std::as_bytes(std::span(images.values)) : std::as_bytes(images.bytes());
}

/// Lets a gathering write the minibatch of a network.
void gather_into(Network& network, GatherImages& gather) {
  const Blueprint& blueprint = network.blueprint();
  const ImageBatch& images = blueprint[blueprint.images].shape;
  gather.out_format = images.format;
  gather.out_channels = images.channels;
  if (blueprint.element == Element::bf16) {
    gather.out_images_bf16 = static_cast<Bf16*>(network.images());
  } else {
    gather.out_images = static_cast<float*>(network.images());
  }
  gather.out_labels = network.labels();
}

struct GradientStep {
  static constexpr const char* name = "gradient";
};

struct EvaluationStep {
  static constexpr const char* name = "evaluate";
};

/// Waits for a stream, come what may.
void settle(const StreamRef& stream) noexcept {
  try {
    stream.synchronize();
  } catch (const std::exception&) {
    // Whoever uses the stream has heard of it, or will.
  }
}

class CudaEngine final : public GradientEngine {
 public:
  CudaEngine(const StreamRef& stream, const TrainingData& data, std::shared_ptr<const DeviceImages> images,
             const NetworkOptions& options)
      : stream_(stream),
        minibatches_(data.minibatches),
        seed_(data.seed),
        batch_size_(data.batch_size),
        images_(std::move(images)),
        network_(make_network(stream, data.architecture, static_cast<int>(batch_size_),
                              options_for(data.architecture, options))),
        graphs_(stream.device(), options.graphs),
        gather_(describe_gather(data.dataset.train, data.dataset.normalisation, batch_size_)) {
    images_->give_to(gather_);
    gather_into(*network_, gather_);
    for (std::size_t i = 0; i < slots; ++i) {
      drawn_.emplace_back(stream.device(), batch_size_, network_->blueprint().dropouts);
    }
  }

  /// Work in flight reads the slots and graphs.
  ~CudaEngine() override { settle(stream_); }

  void enqueue_minibatch(int worker, std::uint64_t job) override {
    Drawn& drawn = drawn_[next_++ % slots];
    drawn.gathered.synchronize();
    minibatches_.draw(worker, job, {drawn.examples.data(), batch_size_}, {drawn.crops.data(), batch_size_});
    gather_.indices = drawn.examples.data();
    gather_.crops = minibatches_.augments() ? drawn.crops.data() : nullptr;
    stream_.enqueue(gather_);
    draw_masks(worker, job, drawn.mask_starts.data());
    stream_.record(drawn.gathered);
  }

  void enqueue_gradient(int, BufferRef<const float> model, BufferRef<float> gradient, float* loss) override {
    tardigrad::cuda::call_native<GradientStep>(stream_, [&](CudaStream native) {
      graphs_.run(native, {model.data(), gradient.data(), loss},
                  [&] { network_->gradient(native, model.data(), gradient.data(), loss); });
    });
  }

 private:
  /// A minibatch as the host has drawn it. The kernel reads it where it is, once.
  struct Drawn {
    Drawn(Device device, std::size_t size, std::size_t dropouts)
        : examples(device, size),
          crops(device, size),
          mask_starts(device, std::max<std::size_t>(dropouts, 1)),
          gathered(device) {}
    PinnedBuffer<std::uint32_t> examples;
    PinnedBuffer<Crop> crops;
    PinnedBuffer<std::uint64_t> mask_starts;
    Event gathered;
  };

  /// The starts of the masks go to the device, where a captured step reads them.
  void draw_masks(int worker, std::uint64_t job, std::uint64_t* starts) {
    const std::size_t count = network_->blueprint().dropouts;
    if (count == 0) return;
    const MaskKey key{.seed = seed_, .worker = static_cast<std::uint64_t>(worker), .job = job};
    for (std::size_t i = 0; i < count; ++i) starts[i] = DropoutMask::start(key, i);
    const BufferRef<std::uint64_t> on_device(network_->mask_starts(), count, stream_.device());
    stream_.copy(on_device, host_view<const std::uint64_t>(starts, count));
  }

  StreamRef stream_;
  data::MinibatchSource& minibatches_;
  std::uint64_t seed_;
  std::size_t batch_size_;
  std::shared_ptr<const DeviceImages> images_;
  std::unique_ptr<Network> network_;
  GraphCache graphs_;
  GatherImages gather_;
  std::vector<Drawn> drawn_;  // ring
  std::size_t next_ = 0;
};

class CudaEvaluator final : public Evaluator {
 public:
  CudaEvaluator(Device device, const data::Dataset& dataset, const Architecture& architecture,
                const NetworkOptions& options)
      : stream_(device, "evaluation"),
        batch_(evaluation_batch(dataset.test, architecture, options)),
        images_(stream_, dataset.test),
        network_(make_network(stream_, architecture, static_cast<int>(batch_),
                              evaluation_options(architecture, options))),
        gather_(describe_gather(dataset.test, dataset.normalisation, batch_)),
        examples_(stream_, (dataset.test.size() + batch_ - 1) / batch_ * batch_),
        model_(stream_, architecture.layout().dimension()),
        losses_(stream_, dataset.test.size()),
        hits_(stream_, dataset.test.size()),
        labels_(dataset.test.labels),
        classes_(dataset.classes) {
    for (std::size_t i = 0; i < evaluations_ahead; ++i) evaluated_.emplace_back(device);
    images_.give_to(gather_);
    gather_into(*network_, gather_);
    // In file order; the last example fills up the last batch.
    std::vector<std::uint32_t> order(examples_.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      order[i] = static_cast<std::uint32_t>(std::min(i, dataset.test.size() - 1));
    }
    const StreamRef stream = stream_;
    stream.copy(examples_.ref(), host_view<const std::uint32_t>(order.data(), order.size()));
    stream.synchronize();
  }

  Evaluation evaluate(std::span<const float> model, const BreakOff& break_off) override {
    break_off.check();
    const StreamRef stream = stream_;
    stream.copy(model_.ref(), host_view(model.data(), model.size()));
    const std::size_t count = losses_.size();
    std::size_t turn = 0;
    for (std::size_t begin = 0; begin < count; begin += batch_) {
      Event& evaluated = evaluated_[turn++ % evaluations_ahead];
      evaluated.synchronize();
      if (break_off.due()) {
        stream.synchronize();
        throw BrokenOff();
      }
      gather_.indices = examples_.ref().data() + begin;
      stream.enqueue(gather_);
      tardigrad::cuda::call_native<EvaluationStep>(stream, [&](CudaStream native) {
        network_->evaluate(native, model_.ref().data(), static_cast<int>(std::min(batch_, count - begin)),
                           losses_.ref().data() + begin, hits_.ref().data() + begin);
      });
      stream.record(evaluated);
    }
    double loss_sum = 0;
    tardigrad::cuda::call_native<LossSum>(stream, [&](CudaStream native) {
      loss_sum = LossSum{count, losses_.ref().data()}.launch(native);
    });
    std::vector<std::uint8_t> hits(count);
    stream.copy(host_view(hits.data(), count), hits_.ref());
    stream.synchronize();
    return evaluation_of(loss_sum, hits, labels_, classes_);
  }

 private:
  Stream stream_;
  std::size_t batch_;
  DeviceImages images_;
  std::unique_ptr<Network> network_;
  GatherImages gather_;
  Buffer<std::uint32_t> examples_;
  Buffer<float> model_;
  Buffer<float> losses_;
  Buffer<std::uint8_t> hits_;
  std::vector<Event> evaluated_;         // ring
  std::span<const data::Label> labels_;  // of the data set, which outlives it
  int classes_;
};

}  // namespace

DeviceImages::DeviceImages(const StreamRef& stream, const data::Images& images)
    : in_floats_(images.in_floats()),
      pixels_(stream, pixel_bytes(images).size()),
      labels_(stream, images.labels.size()) {
  const StartPart part("upload of data");
  stream.copy(pixels_.ref(), host_view(pixel_bytes(images).data(), pixel_bytes(images).size()));
  stream.copy(labels_.ref(), host_view(images.labels.data(), images.labels.size()));
  stream.synchronize();
}

void DeviceImages::give_to(GatherImages& gather) const {
  const void* const pixels = pixels_.ref().data();
  if (in_floats_) {
    gather.values = static_cast<const float*>(pixels);
  } else {
    gather.images = static_cast<const std::uint8_t*>(pixels);
  }
  gather.labels = labels_.ref().data();
}

std::size_t DeviceImages::bytes(const data::Images& images) {
  return pixel_bytes(images).size() + images.labels.size() * sizeof(data::Label);
}

std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream, const TrainingData& data,
                                            std::shared_ptr<const DeviceImages> images,
                                            const NetworkOptions& options) {
  return std::make_unique<CudaEngine>(stream, data, std::move(images), options);
}

std::unique_ptr<Evaluator> make_evaluator(Device device, const data::Dataset& dataset,
                                          const Architecture& architecture, const NetworkOptions& options) {
  return std::make_unique<CudaEvaluator>(device, dataset, architecture, options);
}

std::size_t evaluator_bytes(const data::Dataset& dataset, const Architecture& architecture,
                            const NetworkOptions& options) {
  const std::size_t batch = evaluation_batch(dataset.test, architecture, options);
  const std::size_t per_example = sizeof(std::uint32_t) + sizeof(float) + sizeof(std::uint8_t);
  return DeviceImages::bytes(dataset.test) + (dataset.test.size() + batch) * per_example +
         architecture.layout().dimension() * sizeof(float) +
         engine_bytes(architecture, batch, evaluation_options(architecture, options));
}

std::size_t engine_bytes(const Architecture& architecture, std::size_t batch_size,
                         const NetworkOptions& options) {
  return largest_bytes(architecture, static_cast<int>(batch_size), options.precision, options.deterministic) +
         options_for(architecture, options).workspace_limit;
}

}  // namespace tardigrad::models::cuda
