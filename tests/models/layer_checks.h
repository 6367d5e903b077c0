#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "kernels/random.h"
#include "models/aligned_vector.h"
#include "models/architecture.h"
#include "models/layers/layer.h"

namespace tardigrad::models::testing {

/// Standard normal numbers; the same for the same seed.
inline std::vector<double> noise(std::size_t count, std::uint64_t seed) {
  Random random({seed, 1, 2, 3});
  std::vector<double> values(count);
  for (double& value : values) value = random.normal();
  return values;
}

/// A random order of count numbers 0.01 apart and 0.005 or more from 0: no step of 0.001 crosses a kink of
/// ReLU or max-pool.
inline std::vector<double> apart(std::size_t count, std::uint64_t seed) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = 0.01 * (static_cast<double>(i) - count / 2 + 0.5);
  Random({seed, 1, 2, 3}).shuffle(std::span(values));
  return values;
}

inline AlignedVector<float> to_float(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

/// ‖a - b‖ / ‖b‖; NaN where either holds a NaN, so that no comparison with it holds.
template <typename A, typename B>
double relative_error(const A& a, const B& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double reference = static_cast<double>(b[i]);
    const double d = static_cast<double>(a[i]) - reference;
    difference += d * d;
    norm += reference * reference;
  }
  return std::sqrt(difference / norm);
}

/// What a layer gives for one input and one gradient with respect to its output.
template <typename T>
struct Pass {
  AlignedVector<T> output, input_gradient, gradient;
};

template <typename T>
AlignedVector<T> nans(std::size_t count) {
  return AlignedVector<T>(count, std::numeric_limits<T>::quiet_NaN());
}

/// Both passes of a layer, given as functions with the arguments of Layer's. `pass` is what they must
/// overwrite. It holds NaN: an element that they add to or leave out shows.
template <typename T, typename Forward, typename Backward>
Pass<T> run(const AlignedVector<T>& parameters, const AlignedVector<T>& input,
            const AlignedVector<T>& output_gradient, Pass<T> pass, Forward forward, Backward backward) {
  const T* dy = output_gradient.data();
  forward(parameters.data(), input.data(), pass.output.data());
  backward(parameters.data(), input.data(), dy, pass.input_gradient.data(), pass.gradient.data());

  // The rest of the contract: in place of the input, and without the input's gradient.
  AlignedVector<T> in_place = input;
  auto gradient = nans<T>(parameters.size());
  backward(parameters.data(), in_place.data(), dy, in_place.data(), gradient.data());
  EXPECT_EQ(in_place, pass.input_gradient);
  EXPECT_EQ(gradient, pass.gradient);
  gradient = nans<T>(parameters.size());
  backward(parameters.data(), input.data(), dy, nullptr, gradient.data());
  EXPECT_EQ(gradient, pass.gradient);
  return pass;
}

template <typename T, typename Spec>
Pass<T> run_plain(const Spec& spec, int batch, const std::vector<double>& parameters,
                  const std::vector<double>& input, const std::vector<double>& output_gradient) {
  const auto convert = [](const std::vector<double>& values) {
    return AlignedVector<T>(values.begin(), values.end());
  };
  return run<T>(
      convert(parameters), convert(input), convert(output_gradient),
      {nans<T>(output_gradient.size()), nans<T>(input.size()), nans<T>(parameters.size())},
      [&](auto... arguments) { plain::forward<T>(spec, batch, arguments...); },
      [&](auto... arguments) { plain::backward<T>(spec, batch, arguments...); });
}

inline Pass<float> run_layer(Layer& layer, const AlignedVector<float>& parameters,
                             const AlignedVector<float>& input, const AlignedVector<float>& output_gradient,
                             Pass<float> pass) {
  EXPECT_EQ(layer.output_size(), output_gradient.size());
  return run<float>(
      parameters, input, output_gradient, std::move(pass),
      [&](auto... arguments) { layer.forward(arguments...); },
      [&](auto... arguments) { layer.backward(arguments...); });
}

inline Pass<float> run_layer(Layer& layer, const AlignedVector<float>& parameters,
                             const AlignedVector<float>& input, const AlignedVector<float>& output_gradient) {
  return run_layer(
      layer, parameters, input, output_gradient,
      {nans<float>(output_gradient.size()), nans<float>(input.size()), nans<float>(parameters.size())});
}

/// Compares the analytic gradients of <output_gradient, output> in float64 with central differences, element
/// by element. Piecewise linear layers have no truncation error, so what is left is rounding.
template <typename Spec>
void expect_gradients_match_differences(const Spec& spec, int batch, std::vector<double> parameters,
                                        std::vector<double> input, double step = 1e-3) {
  const std::size_t outputs = spec.output_size() * static_cast<std::size_t>(batch);
  const std::vector<double> direction = noise(outputs, 99);
  const Pass<double> pass = run_plain<double>(spec, batch, parameters, input, direction);
  const auto value = [&] {
    std::vector<double> output(outputs);
    plain::forward(spec, batch, parameters.data(), input.data(), output.data());
    double sum = 0;
    for (std::size_t i = 0; i < outputs; ++i) sum += direction[i] * output[i];
    return sum;
  };
  const auto differences_of = [&](std::vector<double>& variables) {
    std::vector<double> differences;
    for (double& variable : variables) {
      const double middle = variable;
      variable = middle + step;
      const double right = value();
      variable = middle - step;
      const double left = value();
      variable = middle;
      differences.push_back((right - left) / (2 * step));
    }
    return differences;
  };
  EXPECT_THAT(pass.input_gradient, ::testing::Pointwise(::testing::DoubleNear(1e-9), differences_of(input)));
  EXPECT_THAT(pass.gradient, ::testing::Pointwise(::testing::DoubleNear(1e-9), differences_of(parameters)));
}

}  // namespace tardigrad::models::testing
