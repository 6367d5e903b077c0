#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "models/classifier.h"
#include "tests/models/layer_checks.h"

namespace tardigrad::models::testing {

/// A network to test.
struct Case {
  std::string architecture;  ///< A built-in name, or the text of a network file.
  ImageShape shape;
  int batch;
  CpuEngine engine;
};

inline void PrintTo(const Case& c, std::ostream* out) {
  *out << c.architecture.substr(0, c.architecture.find('{')) << " on " << c.shape.channels << "x"
       << c.shape.height << "x" << c.shape.width << ", batch " << c.batch
       << (c.engine == CpuEngine::plain ? ", plain" : ", oneDNN");
}

/// Initial parameters with a minibatch of noise.
struct Problem {
  Problem(const Architecture& architecture, int batch)
      : parameters(architecture.layout().dimension()),
        images(to_float(noise(architecture.input().size() * static_cast<std::size_t>(batch), 11))),
        labels(static_cast<std::size_t>(batch)) {
    initialise(architecture, parameters, 5);
    Random random({12, 1, 2, 3});
    for (std::int32_t& label : labels) {
      label = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(architecture.classes())));
    }
  }

  /// Makes all that goes into a ReLU exactly 0 for every other image: there is no bias, and they are blank.
  void blank_every_other_image(const Architecture& architecture) {
    for (const TensorSpec& tensor : architecture.layout().tensors()) {
      if (tensor.name.ends_with(".bias")) std::fill_n(&parameters[tensor.offset], tensor.elements(), 0.0F);
    }
    const std::size_t size = architecture.input().size();
    for (std::size_t i = 1; i < labels.size(); i += 2) std::fill_n(&images[i * size], size, 0.0F);
  }

  AlignedVector<float> parameters;
  AlignedVector<float> images;
  std::vector<std::int32_t> labels;
};

}  // namespace tardigrad::models::testing
