#pragma once

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
  std::string architecture;
  ImageShape shape;
  int batch;
  CpuEngine engine;
};

inline void PrintTo(const Case& c, std::ostream* out) {
  *out << c.architecture << " on " << c.shape.channels << "x" << c.shape.height << "x" << c.shape.width
       << ", batch " << c.batch << (c.engine == CpuEngine::plain ? ", plain" : ", oneDNN");
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

  AlignedVector<float> parameters;
  AlignedVector<float> images;
  std::vector<std::int32_t> labels;
};

}  // namespace tardigrad::models::testing
