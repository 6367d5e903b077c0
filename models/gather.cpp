#include "models/gather.h"

#include <algorithm>

namespace tardigrad::models {

GatherImages describe_gather(const data::Images& images, const data::Normalisation& normalisation,
                             std::size_t batch) {
  GatherImages gather;
  gather.count = images.size();
  gather.batch = batch;
  gather.channels = static_cast<std::size_t>(images.shape.channels);
  gather.height = static_cast<std::size_t>(images.shape.height);
  gather.width = static_cast<std::size_t>(images.shape.width);
  std::copy(normalisation.mean.begin(), normalisation.mean.end(), gather.mean.begin());
  std::copy(normalisation.deviation.begin(), normalisation.deviation.end(), gather.deviation.begin());
  return gather;
}

void GatheredBatch::gather(const data::Images& source, const data::Normalisation& normalisation,
                           std::size_t count, const Crop* crops) {
  GatherImages gather = describe_gather(source, normalisation, count);
  if (source.in_floats()) {
    gather.values = source.values.data();
  } else {
    gather.images = source.bytes().data();
  }
  gather.labels = source.labels.data();
  gather.indices = examples_.data();
  gather.crops = crops;
  gather.out_images = images_.data();
  gather.out_labels = labels_.data();
  gather.run();
}

}  // namespace tardigrad::models
