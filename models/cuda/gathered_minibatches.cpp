#include "models/cuda/gathered_minibatches.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "kernels/dropout_mask.h"
#include "models/gather.h"

namespace tardigrad::models::cuda {
namespace {

/// Minibatches drawn by the host before the first of them is gathered.
constexpr std::size_t slots = 8;

}  // namespace

void gather_into(const LaidOutMemory& network, GatherImages& gather) {
  const ImageBatch& images = network.blueprint[network.blueprint.images].shape;
  gather.out_format = images.format;
  gather.out_channels = images.channels;
  if (network.blueprint.element == Element::bf16) {
    gather.out_images_bf16 = static_cast<Bf16*>(network.images());
  } else {
    gather.out_images = static_cast<float*>(network.images());
  }
  gather.out_labels = network.labels();
}

GatheredMinibatches::Drawn::Drawn(Device device, std::size_t size, std::size_t dropouts)
    : examples(device, size),
      crops(device, size),
      mask_starts(device, std::max<std::size_t>(dropouts, 1)),
      gathered(device) {}

GatheredMinibatches::GatheredMinibatches(const StreamRef& stream, const TrainingData& data,
                                         std::shared_ptr<const DeviceImages> images,
                                         const LaidOutMemory& network, std::size_t most)
    : stream_(stream),
      data_(data),
      images_(std::move(images)),
      network_(network),
      gather_(describe_gather(data.dataset.train, data.dataset.normalisation, data.batch_size)) {
  images_->give_to(gather_);
  gather_into(network, gather_);
  for (std::size_t i = 0; i < slots; ++i) {
    drawn_.emplace_back(stream.device(), most * data.batch_size, network.blueprint.dropouts);
  }
}

GatheredMinibatches::~GatheredMinibatches() {
  try {
    stream_.synchronize();
  } catch (const std::exception&) {
    // Whoever uses the stream has heard of it, or will.
  }
}

void GatheredMinibatches::enqueue(std::span<const MinibatchKey> keys) {
  Drawn& drawn = drawn_[next_++ % slots];
  drawn.gathered.synchronize();
  const std::size_t size = data_.batch_size;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    data_.minibatches.draw(keys[i].worker, keys[i].job, {drawn.examples.data() + i * size, size},
                           {drawn.crops.data() + i * size, size});
  }
  gather_.batch = keys.size() * size;
  gather_.indices = drawn.examples.data();
  gather_.crops = data_.minibatches.augments() ? drawn.crops.data() : nullptr;
  stream_.enqueue(gather_);
  if (network_.blueprint.dropouts > 0) draw_masks(keys.back(), drawn.mask_starts.data());
  stream_.record(drawn.gathered);
}

/// The starts of the masks go to the device, where a captured step reads them.
void GatheredMinibatches::draw_masks(const MinibatchKey& key, std::uint64_t* starts) {
  const MaskKey masks{.seed = data_.seed, .worker = static_cast<std::uint64_t>(key.worker), .job = key.job};
  const std::size_t count = network_.blueprint.dropouts;
  for (std::size_t i = 0; i < count; ++i) starts[i] = DropoutMask::start(masks, i);
  const BufferRef<std::uint64_t> on_device(network_.mask_starts(), count, stream_.device());
  stream_.copy(on_device, host_view<const std::uint64_t>(starts, count));
}

}  // namespace tardigrad::models::cuda
