#include "models/layers/relu.h"

namespace tardigrad::models::plain {

template <typename T>
void forward(const Relu& relu, int batch, const T* /*parameters*/, const T* input, T* output) {
  const std::size_t count = relu.size * batch;
  for (std::size_t i = 0; i < count; ++i) output[i] = input[i] <= 0 ? T{0} : input[i];
}

template <typename T>
void backward(const Relu& relu, int batch, const T* /*parameters*/, const T* input, const T* output_gradient,
              T* input_gradient, T* /*gradient*/) {
  if (!input_gradient) return;
  const std::size_t count = relu.size * batch;
  for (std::size_t i = 0; i < count; ++i) input_gradient[i] = input[i] <= 0 ? T{0} : output_gradient[i];
}

template void forward(const Relu&, int, const float*, const float*, float*);
template void forward(const Relu&, int, const double*, const double*, double*);
template void backward(const Relu&, int, const float*, const float*, const float*, float*, float*);
template void backward(const Relu&, int, const double*, const double*, const double*, double*, double*);

}  // namespace tardigrad::models::plain
