#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/cuda/blueprint/blueprint.h"
#include "models/cuda/classification.h"

namespace tardigrad::models::cuda {

/// Names a minibatch: that of a job of a worker.
struct MinibatchKey {
  int worker;
  std::uint64_t job;
};

/// Draws minibatches on the host, and gathers them on a stream into the memory of a network.
class GatheredMinibatches {
 public:
  /// Gathers up to `most` minibatches at once. The network's memory outlives it, and so do `data` and the
  /// stream.
  GatheredMinibatches(const StreamRef& stream, const TrainingData& data,
                      std::shared_ptr<const DeviceImages> images, const LaidOutMemory& network,
                      std::size_t most);
  GatheredMinibatches(const GatheredMinibatches&) = delete;
  GatheredMinibatches& operator=(const GatheredMinibatches&) = delete;

  /// Waits for the stream, which reads its memory.
  ~GatheredMinibatches();

  /// Enqueues gathering these, one behind the other, and of the last the starts of its masks of dropout.
  void enqueue(std::span<const MinibatchKey> keys);

 private:
  /// Are minibatches as the host has drawn them. The kernel reads them where they are, once.
  struct Drawn {
    Drawn(Device device, std::size_t examples, std::size_t dropouts);
    PinnedBuffer<std::uint32_t> examples;
    PinnedBuffer<Crop> crops;
    PinnedBuffer<std::uint64_t> mask_starts;
    Event gathered;
  };

  void draw_masks(const MinibatchKey& key, std::uint64_t* starts);

  StreamRef stream_;
  const TrainingData data_;
  std::shared_ptr<const DeviceImages> images_;
  LaidOutMemory network_;
  GatherImages gather_;
  std::vector<Drawn> drawn_;  // ring
  std::size_t next_ = 0;
};

/// Lets a gathering write the images and labels of a network.
void gather_into(const LaidOutMemory& network, GatherImages& gather);

}  // namespace tardigrad::models::cuda
