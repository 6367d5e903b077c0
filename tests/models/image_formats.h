#pragma once

#include <cstring>
#include <limits>

#include "models/layers/image_layout.h"
#include "tests/models/layer_checks.h"

namespace tardigrad::models::testing {

/// [batch, channels, height, width] into a format. Padding is 0, as layers may rely on.
inline AlignedVector<float> to_layout(const ImageLayout& layout, int batch,
                                      const AlignedVector<float>& nchw) {
  AlignedVector<float> images(layout.size() * static_cast<std::size_t>(batch));
  auto value = nchw.begin();
  for (int n = 0; n < batch; ++n) {
    float* image = images.data() + static_cast<std::size_t>(n) * layout.size();
    for (int c = 0; c < layout.channels; ++c) {
      for (int y = 0; y < layout.height; ++y) {
        for (int x = 0; x < layout.width; ++x) image[layout.offset(c, y, x)] = *value++;
      }
    }
  }
  return images;
}

inline AlignedVector<float> from_layout(const ImageLayout& layout, int batch,
                                        const AlignedVector<float>& images) {
  AlignedVector<float> nchw;
  for (int n = 0; n < batch; ++n) {
    const float* image = images.data() + static_cast<std::size_t>(n) * layout.size();
    for (int c = 0; c < layout.channels; ++c) {
      for (int y = 0; y < layout.height; ++y) {
        for (int x = 0; x < layout.width; ++x) nchw.push_back(image[layout.offset(c, y, x)]);
      }
    }
  }
  return nchw;
}

/// run_layer for a layer with formats of its own, with images in NCHW. Padding holds 0, as in a network.
inline Pass<float> run_image_layer(Layer& layer, const ImageLayout& input_layout,
                                   const ImageLayout& output_layout, int batch,
                                   const AlignedVector<float>& parameters, const AlignedVector<float>& input,
                                   const AlignedVector<float>& output_gradient) {
  Pass<float> pass =
      run_layer(layer, parameters, to_layout(input_layout, batch, input),
                to_layout(output_layout, batch, output_gradient),
                {to_layout(output_layout, batch, nans<float>(output_gradient.size())),
                 to_layout(input_layout, batch, nans<float>(input.size())), nans<float>(parameters.size())});
  pass.output = from_layout(output_layout, batch, pass.output);
  pass.input_gradient = from_layout(input_layout, batch, pass.input_gradient);
  return pass;
}

/// Equal byte for byte: tells 0 from -0 and takes NaN for equal to the same NaN.
MATCHER_P(SameBits, expected, "") {
  if (arg.size() != expected.size()) return false;
  for (std::size_t i = 0; i < arg.size(); ++i) {
    if (std::memcmp(&arg[i], &expected[i], sizeof(arg[i])) != 0) {
      *result_listener << "element " << i << " is " << arg[i] << ", expected " << expected[i];
      return false;
    }
  }
  return true;
}

}  // namespace tardigrad::models::testing
