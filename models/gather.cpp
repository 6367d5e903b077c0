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

}  // namespace tardigrad::models
