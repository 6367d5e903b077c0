#include "models/cuda/classification.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "kernels/loss_sum.h"
#include "models/class_accuracy.h"
#include "models/cuda/gathered_minibatches.h"
#include "models/cuda/graph_cache.h"
#include "models/cuda/perceptron_group.h"
#include "models/cuda/plans.h"
#include "models/gather.h"
#include "runtime/device/cuda/native_call.h"
#include "runtime/device/start_times.h"

namespace tardigrad::models::cuda {
namespace {

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

/// With the libraries' workspaces, one for each of up to two streams.
std::size_t network_bytes(const Architecture& architecture, std::size_t batch,
                          const NetworkOptions& options) {
  const auto images = static_cast<int>(batch);
  const auto ways = ways_on_one_stream(architecture, options.precision, options.deterministic);
  const auto may_be_two = [&](const WayToCompute& way) {
    return blueprint_beside(architecture, images, way).has_value();
  };
  const bool measured = options.graphs && !options.deterministic;
  const std::size_t limit = options_for(architecture, options).workspace_limit;
  const std::size_t scratch_beside =
      measured && std::ranges::any_of(ways, may_be_two) ? std::min(limit, most_workspace_beside) : 0;
  return largest_bytes(architecture, images, options.precision, options.deterministic) + limit +
         scratch_beside;
}

struct GradientStep {
  static constexpr const char* name = "gradient";
};

struct EvaluationStep {
  static constexpr const char* name = "evaluate";
};

class NetworkEngine final : public GradientEngine {
 public:
  NetworkEngine(const StreamRef& stream, const TrainingData& data, std::shared_ptr<const DeviceImages> images,
                const NetworkOptions& options)
      : stream_(stream),
        network_(make_network(stream, data.architecture, static_cast<int>(data.batch_size),
                              options_for(data.architecture, options))),
        graphs_(stream.device(), options.graphs),
        minibatches_(stream, data, std::move(images), network_->memory(), 1) {}

  void enqueue_minibatch(int worker, std::uint64_t job) override {
    const MinibatchKey key{worker, job};
    minibatches_.enqueue({&key, 1});
  }

  void enqueue_gradient(int, BufferRef<const float> model, BufferRef<float> gradient, float* loss) override {
    tardigrad::cuda::call_native<GradientStep>(stream_, [&](CudaStream native) {
      graphs_.run(native, {model.data(), gradient.data(), loss},
                  [&] { network_->gradient(native, model.data(), gradient.data(), loss); });
    });
  }

 private:
  StreamRef stream_;
  std::unique_ptr<Network> network_;
  GraphCache graphs_;
  GatheredMinibatches minibatches_;  // whose end waits for work in flight, which uses the others
};

/// Computes a job by itself as it does in a group, so that its bits depend on neither.
class PerceptronEngine final : public GradientEngine {
 public:
  PerceptronEngine(const StreamRef& stream, const TrainingData& data,
                   std::shared_ptr<const DeviceImages> images, const NetworkOptions& options)
      : stream_(stream),
        group_(stream, data.architecture, data.batch_size),
        graphs_(stream.device(), options.graphs),
        minibatches_(stream, data, std::move(images), group_.memory(), GroupOfLinears::most_jobs) {}

  void enqueue_minibatch(int worker, std::uint64_t job) override {
    const MinibatchKey key{worker, job};
    minibatches_.enqueue({&key, 1});
  }

  void enqueue_gradient(int, BufferRef<const float> model, BufferRef<float> gradient, float* loss) override {
    const PerceptronGroup::Job job{model.data(), gradient.data()};
    tardigrad::cuda::call_native<GradientStep>(stream_, [&](CudaStream native) {
      graphs_.run(native, {model.data(), gradient.data(), loss}, [&] {
        group_.gradients(native, {&job, 1}, loss);
      });
    });
  }

  void enqueue_gradients(std::span<const GradientJob> jobs, float* losses,
                         const std::function<void()>& wait_for_models) override {
    keys_.clear();
    jobs_.clear();
    for (const GradientJob& job : jobs) {
      keys_.push_back({job.worker, job.number});
      jobs_.push_back({job.model.data(), job.gradient.data()});
    }
    minibatches_.enqueue(keys_);
    wait_for_models();
    tardigrad::cuda::call_native<GradientStep>(
        stream_, [&](CudaStream native) { group_.gradients(native, jobs_, losses); });
  }

 private:
  StreamRef stream_;
  PerceptronGroup group_;
  GraphCache graphs_;
  std::vector<MinibatchKey> keys_;          // whose memory is used again
  std::vector<PerceptronGroup::Job> jobs_;  // likewise
  GatheredMinibatches minibatches_;         // whose end waits for work in flight, which uses the others
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
    gather_into(network_->memory(), gather_);
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
  if (PerceptronGroup::takes(data.architecture, data.batch_size)) {
    return std::make_unique<PerceptronEngine>(stream, data, std::move(images), options);
  }
  return std::make_unique<NetworkEngine>(stream, data, std::move(images), options);
}

std::size_t gradients_at_once(const Architecture& architecture, std::size_t batch_size) {
  return PerceptronGroup::takes(architecture, batch_size) ? GroupOfLinears::most_jobs : 1;
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
         network_bytes(architecture, batch, evaluation_options(architecture, options));
}

std::size_t engine_bytes(const Architecture& architecture, std::size_t batch_size,
                         const NetworkOptions& options) {
  return PerceptronGroup::takes(architecture, batch_size) ? PerceptronGroup::bytes(architecture, batch_size)
                                                          : network_bytes(architecture, batch_size, options);
}

}  // namespace tardigrad::models::cuda
