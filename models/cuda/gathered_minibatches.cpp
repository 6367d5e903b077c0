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

void gather_into(const Blueprint& blueprint, std::byte* memory, GatherImages& gather) {
  const Activation& images = blueprint[blueprint.images];
  gather.out_format = images.shape.format;
  gather.out_channels = images.shape.channels;
  void* const to = memory + images.value;
  if (blueprint.element == Element::bf16) {
    gather.out_images_bf16 = static_cast<Bf16*>(to);
  } else {
    gather.out_images = static_cast<float*>(to);
  }
  gather.out_labels = reinterpret_cast<std::int32_t*>(memory + blueprint.labels);
}

GatheredMinibatches::Drawn::Drawn(Device device, std::size_t size, std::size_t dropouts)
    : examples(device, size),
      crops(device, size),
      mask_starts(device, std::max<std::size_t>(dropouts, 1)),
      gathered(device) {}

GatheredMinibatches::GatheredMinibatches(const StreamRef& stream, const TrainingData& data,
                                         std::shared_ptr<const DeviceImages> images,
                                         const Blueprint& blueprint, std::byte* memory, std::size_t most)
    : stream_(stream),
      data_(data),
      images_(std::move(images)),
      dropouts_(blueprint.dropouts),
      mask_starts_(reinterpret_cast<std::uint64_t*>(memory + blueprint.mask_starts)),
      gather_(describe_gather(data.dataset.train, data.dataset.normalisation, data.batch_size)) {
  images_->give_to(gather_);
  gather_into(blueprint, memory, gather_);
  for (std::size_t i = 0; i < slots; ++i) {
    drawn_.emplace_back(stream.device(), most * data.batch_size, dropouts_);
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
  if (dropouts_ > 0) draw_masks(keys.back(), drawn.mask_starts.data());
  stream_.record(drawn.gathered);
}

/// The starts of the masks go to the device, where a captured step reads them.
void GatheredMinibatches::draw_masks(const MinibatchKey& key, std::uint64_t* starts) {
  const MaskKey masks{.seed = data_.seed, .worker = static_cast<std::uint64_t>(key.worker), .job = key.job};
  for (std::size_t i = 0; i < dropouts_; ++i) starts[i] = DropoutMask::start(masks, i);
  const BufferRef<std::uint64_t> on_device(mask_starts_, dropouts_, stream_.device());
  stream_.copy(on_device, host_view<const std::uint64_t>(starts, dropouts_));
}

}  // namespace tardigrad::models::cuda
