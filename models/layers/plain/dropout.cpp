#include "models/layers/dropout.h"

#include <algorithm>

namespace tardigrad::models::plain {
namespace {

/// to = from, masked.
template <typename T>
void drop(const Dropout& dropout, int batch, const T* from, T* to) {
  const std::size_t count = dropout.size * batch;
  if (!dropout.key) {
    std::copy_n(from, count, to);
    return;
  }
  const DropoutMask mask(DropoutMask::start(*dropout.key, dropout.number), dropout.probability);
  const T scale = static_cast<T>(1 / (1 - dropout.probability));
  for (std::size_t i = 0; i < count; ++i) to[i] = mask.keeps(i) ? from[i] * scale : T{0};
}

}  // namespace

template <typename T>
void forward(const Dropout& dropout, int batch, const T* /*parameters*/, const T* input, T* output) {
  drop(dropout, batch, input, output);
}

template <typename T>
void backward(const Dropout& dropout, int batch, const T* /*parameters*/, const T* /*input*/,
              const T* output_gradient, T* input_gradient, T* /*gradient*/) {
  if (input_gradient) drop(dropout, batch, output_gradient, input_gradient);
}

template void forward(const Dropout&, int, const float*, const float*, float*);
template void forward(const Dropout&, int, const double*, const double*, double*);
template void backward(const Dropout&, int, const float*, const float*, const float*, float*, float*);
template void backward(const Dropout&, int, const double*, const double*, const double*, double*, double*);

}  // namespace tardigrad::models::plain
