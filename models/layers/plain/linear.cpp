#include "models/layers/linear.h"

#include <algorithm>
#include <type_traits>

#include "models/layers/lanes.h"

namespace tardigrad::models::plain {
namespace {

// The products go through the weights once, in tiles of outputs × examples that stay in registers: a weight
// is loaded once for several examples and an input once for several outputs. The sizes were measured; the
// sums of forward fill the 32 vector registers of AVX-512, or the 16 of what came before.
constexpr int tile_examples = 4;
constexpr int forward_outputs = lane_count<float> == 16 ? 4 : 3;
constexpr int gradient_outputs = 2;

// While it works, a tile fetches rows of the weights or of their gradient that come this much later. Without
// that the rows of a tile, a stream of addresses each, arrive at half the speed that memory has.
constexpr int fetch_distance_bytes = 32 * 1024;

/// The rows that a tile of `tile_outputs` rows from `o` on is to fetch: as many as it has.
int rows_ahead(const Linear& linear, int o, int tile_outputs, std::size_t element_bytes) {
  const int distance = fetch_distance_bytes / static_cast<int>(linear.inputs * element_bytes);
  return std::min(o + distance, linear.outputs - tile_outputs);
}

/// Walks [0, count) in tiles of `Size`, then one by one: tile(first, the tile's size as integral_constant).
template <int Size, typename Tile>
void for_tiles(int count, Tile tile) {
  int first = 0;
  for (; first + Size <= count; first += Size) tile(first, std::integral_constant<int, Size>());
  for (; first < count; ++first) tile(first, std::integral_constant<int, 1>());
}

/// y[e,o] = bias[o] + Σ_i x[e,i] · w[o,i]. Fetches as much from `ahead` on as it reads of w.
template <int Examples, int Outputs, typename T>
void forward_tile(const Linear& linear, const T* w, const T* ahead, const T* bias, const T* x, T* y) {
  const int stride = linear.inputs;
  Lanes<T> sums[Examples][Outputs] = {};
  int i = 0;
  for (; i + lane_count<T> <= stride; i += lane_count<T>) {
    Lanes<T> weights[Outputs];
    for (int o = 0; o < Outputs; ++o) {
      weights[o] = in_register(load(w + o * stride + i));
      fetch(ahead + i * Outputs + o * lane_count<T>);
    }
    for (int e = 0; e < Examples; ++e) {
      const Lanes<T> inputs = in_register(load(x + e * stride + i));
      for (int o = 0; o < Outputs; ++o) sums[e][o] += weights[o] * inputs;
    }
  }
#pragma GCC unroll 16  // else the sums go through memory to be reduced
  for (int e = 0; e < Examples; ++e) {
    for (int o = 0; o < Outputs; ++o) y[e * linear.outputs + o] = bias[o] + reduce(sums[e][o]);
  }
  for (; i < stride; ++i) {
    for (int e = 0; e < Examples; ++e) {
      for (int o = 0; o < Outputs; ++o) y[e * linear.outputs + o] += x[e * stride + i] * w[o * stride + i];
    }
  }
}

/// dw[o,i] = Σ_e dy[e,o] · x[e,i], or += where `add`. Fetches as much from `ahead` on as it writes of dw.
template <int Examples, int Outputs, typename T>
void weight_gradient_tile(const Linear& linear, bool add, const T* dy, const T* x, T* dw, const T* ahead) {
  const int stride = linear.inputs;
  Lanes<T> scale[Examples][Outputs];
  for (int e = 0; e < Examples; ++e) {
    for (int o = 0; o < Outputs; ++o) scale[e][o] = dy[e * linear.outputs + o];
  }
  int i = 0;
  for (; i + lane_count<T> <= stride; i += lane_count<T>) {
    Lanes<T> sums[Outputs] = {};
    if (add) {
      for (int o = 0; o < Outputs; ++o) sums[o] = load(dw + o * stride + i);
    }
    for (int e = 0; e < Examples; ++e) {
      const Lanes<T> inputs = in_register(load(x + e * stride + i));
      for (int o = 0; o < Outputs; ++o) sums[o] += inputs * scale[e][o];
    }
    for (int o = 0; o < Outputs; ++o) {
      store(sums[o], dw + o * stride + i);
      fetch(ahead + i * Outputs + o * lane_count<T>);
    }
  }
  for (; i < stride; ++i) {
    for (int o = 0; o < Outputs; ++o) {
      T sum = add ? dw[o * stride + i] : T{0};
      for (int e = 0; e < Examples; ++e) sum += dy[e * linear.outputs + o] * x[e * stride + i];
      dw[o * stride + i] = sum;
    }
  }
}

/// dx[e,i] = Σ_o dy[e,o] · w[o,i].
template <int Examples, typename T>
void input_gradient_tile(const Linear& linear, const T* w, const T* dy, T* dx) {
  const int stride = linear.inputs;
  int i = 0;
  for (; i + lane_count<T> <= stride; i += lane_count<T>) {
    Lanes<T> sums[Examples] = {};
    for (int o = 0; o < linear.outputs; ++o) {
      const Lanes<T> weights = load(w + o * stride + i);
      for (int e = 0; e < Examples; ++e) sums[e] += weights * dy[e * linear.outputs + o];
    }
    for (int e = 0; e < Examples; ++e) store(sums[e], dx + e * stride + i);
  }
  for (; i < stride; ++i) {
    for (int e = 0; e < Examples; ++e) {
      T sum = 0;
      for (int o = 0; o < linear.outputs; ++o) sum += dy[e * linear.outputs + o] * w[o * stride + i];
      dx[e * stride + i] = sum;
    }
  }
}

}  // namespace

template <typename T>
void bias_gradient(const Linear& linear, int batch, const T* output_gradient, T* gradient) {
  std::fill_n(gradient, linear.outputs, T{0});
  for (int e = 0; e < batch; ++e) {
    for (int o = 0; o < linear.outputs; ++o) gradient[o] += output_gradient[e * linear.outputs + o];
  }
}

template <typename T>
void forward(const Linear& linear, int batch, const T* parameters, const T* input, T* output) {
  const T* weight = parameters + linear.weight_offset;
  const T* bias = parameters + linear.bias_offset;
  for_tiles<forward_outputs>(linear.outputs, [&](int o, auto outputs) {
    const T* ahead = weight + rows_ahead(linear, o, outputs, sizeof(T)) * linear.inputs;
    for_tiles<tile_examples>(batch, [&](int e, auto examples) {
      forward_tile<decltype(examples)::value, decltype(outputs)::value>(
          linear, weight + o * linear.inputs, ahead, bias + o, input + e * linear.inputs,
          output + e * linear.outputs + o);
    });
  });
}

template <typename T>
void backward(const Linear& linear, int batch, const T* parameters, const T* input, const T* output_gradient,
              T* input_gradient, T* gradient) {
  T* weight_gradient = gradient + linear.weight_offset;
  for_tiles<gradient_outputs>(linear.outputs, [&](int o, auto outputs) {
    const T* ahead = weight_gradient + rows_ahead(linear, o, outputs, sizeof(T)) * linear.inputs;
    for_tiles<tile_examples>(batch, [&](int e, auto examples) {
      weight_gradient_tile<decltype(examples)::value, decltype(outputs)::value>(
          linear, e > 0, output_gradient + e * linear.outputs + o, input + e * linear.inputs,
          weight_gradient + o * linear.inputs, ahead);
    });
  });
  bias_gradient(linear, batch, output_gradient, gradient + linear.bias_offset);
  if (!input_gradient) return;
  for_tiles<tile_examples>(batch, [&](int e, auto examples) {
    input_gradient_tile<decltype(examples)::value>(linear, parameters + linear.weight_offset,
                                                   output_gradient + e * linear.outputs,
                                                   input_gradient + e * linear.inputs);
  });
}

template void forward(const Linear&, int, const float*, const float*, float*);
template void forward(const Linear&, int, const double*, const double*, double*);
template void backward(const Linear&, int, const float*, const float*, const float*, float*, float*);
template void backward(const Linear&, int, const double*, const double*, const double*, double*, double*);

template void bias_gradient(const Linear&, int, const float*, float*);
template void bias_gradient(const Linear&, int, const double*, double*);

}  // namespace tardigrad::models::plain
