#include "kernels/norm.h"

#include <cmath>

#include "tests/kernels/image_batches.h"
#include "tests/kernels/partial_sums.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr float epsilon = 1e-5F;

template <typename Number>
struct NormProblem {
  NormProblem(const NormShape& of, bool with_relu)
      : shape(of),
        relu(with_relu),
        input(random_numbers<Number>(of.images.size(), 1)),
        output_gradient(random_numbers<Number>(of.images.size(), 2)),
        weight(random_numbers<float>(of.weights(), 3)),
        bias(random_numbers<float>(of.weights(), 4)) {}

  NormShape shape;
  bool relu;
  std::vector<Number> input, output_gradient;
  std::vector<float> weight, bias;
};

template <typename Number>
struct NormResult {
  std::vector<Number> output, input_gradient;
  std::vector<float> statistics, weight_gradient, bias_gradient;
};

template <typename Number>
NormResult<Number> compute_norm(Backend backend, const NormProblem<Number>& problem) {
  const NormShape& shape = problem.shape;
  const Guarded<Number> input(backend, problem.input);
  const Guarded<float> weight(backend, problem.weight);
  const Guarded<float> bias(backend, problem.bias);
  const Guarded<Number> output(backend, std::vector<Number>(problem.input.size(), nearest<Number>(-77)));
  const Guarded<float> statistics(backend, std::vector<float>(2 * shape.all_groups(), poison));
  execute(backend, NormForward<Number>{shape, epsilon, problem.relu, input.data(), weight.data(), bias.data(),
                                       output.data(), statistics.data()});
  const Guarded<Number> output_gradient(backend, problem.output_gradient);
  const PartialSums sums = NormBackward<Number>::sums(shape);
  const Guarded<float> partial_sums = no_sums_yet(backend, sums);
  // The input's gradient takes the place of the input, as in networks.
  execute(backend,
          NormBackward<Number>{shape, problem.relu, input.data(), weight.data(), bias.data(),
                               statistics.data(), output_gradient.data(), input.data(), partial_sums.data()});
  EXPECT_TRUE(same_bits(output_gradient.values(), problem.output_gradient));
  const std::vector<float> both =
      add_parts(backend, partial_sums, sums, {shape.weight_order(), shape.weight_order()});
  const auto biases = both.begin() + static_cast<std::ptrdiff_t>(shape.weights());
  return {output.values(), input.values(), statistics.values(), {both.begin(), biases}, {biases, both.end()}};
}

/// The same in double, as the equations have it.
template <typename Number>
struct NormReference {
  explicit NormReference(const NormProblem<Number>& problem)
      : output(problem.input.size()),
        input_gradient(problem.input.size()),
        weight_gradient(problem.weight.size()),
        bias_gradient(problem.weight.size()) {
    const NormShape& shape = problem.shape;
    for (std::size_t group = 0; group < shape.all_groups(); ++group) add_group(problem, group);
  }

  std::vector<double> output, input_gradient, weight_gradient, bias_gradient;

 private:
  struct Element {
    std::size_t place, weight;
    double standard = 0, gradient = 0;
  };

  void add_group(const NormProblem<Number>& problem, std::size_t group) {
    const NormShape& shape = problem.shape;
    const ImageBatch& images = shape.images;
    std::vector<Element> elements;
    double mean = 0;
    for_each_element(images, [&](std::size_t n, std::size_t c, std::size_t p, std::size_t place) {
      if (n * shape.groups + c / shape.group_channels() != group) return;
      elements.push_back({place, shape.by_element ? c * images.pixels + p : c});
      mean += at(problem.input, place) / static_cast<double>(shape.group_size());
    });
    double variance = 0;
    for (const Element& e : elements) {
      variance += std::pow(at(problem.input, e.place) - mean, 2) / static_cast<double>(elements.size());
    }
    const double reciprocal = 1 / std::sqrt(variance + static_cast<double>(epsilon));
    double weighted = 0;
    double product = 0;
    for (Element& e : elements) {
      const auto weight = static_cast<double>(problem.weight[e.weight]);
      e.standard = (at(problem.input, e.place) - mean) * reciprocal;
      output[e.place] = weight * e.standard + static_cast<double>(problem.bias[e.weight]);
      const bool closed = problem.relu && output[e.place] <= 0;
      if (closed) output[e.place] = 0;
      e.gradient = closed ? 0 : at(problem.output_gradient, e.place);
      weight_gradient[e.weight] += e.gradient * e.standard;
      bias_gradient[e.weight] += e.gradient;
      weighted += weight * e.gradient / static_cast<double>(elements.size());
      product += weight * e.gradient * e.standard / static_cast<double>(elements.size());
    }
    for (const Element& e : elements) {
      const double own = static_cast<double>(problem.weight[e.weight]) * e.gradient;
      input_gradient[e.place] = reciprocal * (own - weighted - e.standard * product);
    }
  }

  static double at(const std::vector<Number>& values, std::size_t place) {
    return static_cast<double>(widen(values[place]));
  }
};

/// ‖a − b‖ / ‖b‖
template <typename Number>
double relative_distance(const std::vector<Number>& a, const std::vector<double>& b) {
  double difference = 0;
  double norm = 1e-30;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(static_cast<double>(widen(a[i])) - b[i], 2);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / norm);
}

template <typename Check>
void for_each_norm(const Check& check) {
  for_each_image_batch([&](const ImageBatch& images) {
    for (const std::size_t groups : {1, 3, 12}) {
      if (images.channels % groups != 0) continue;
      for (const bool by_element : {false, true}) {
        if (by_element && groups != 1) continue;
        SCOPED_TRACE(::testing::Message()
                     << groups << " groups, weights by " << (by_element ? "element" : "channel"));
        check(float{}, NormShape{images, groups, by_element});
        check(Bf16{}, NormShape{images, groups, by_element});
      }
    }
  });
}

class NormContract : public OnBackend {};

TEST_P(NormContract, AgreesWithDoubleAndGivesTheBitsOfACpu) {
  for_each_norm([]<typename Number>(Number, const NormShape& shape) {
    for (const bool relu : {false, true}) {
      if (!relu && std::is_same_v<Number, Bf16>) continue;
      const NormProblem<Number> problem(shape, relu);
      const NormResult<Number> got = compute_norm(GetParam(), problem);
      const NormResult<Number> on_cpu = compute_norm(Backend::cpu, problem);
      EXPECT_TRUE(same_bits(got.statistics, on_cpu.statistics));
      EXPECT_TRUE(same_bits(got.output, on_cpu.output));
      EXPECT_TRUE(same_bits(got.input_gradient, on_cpu.input_gradient));
      if (shape.group_size() <= 2) continue;  // the input's gradient is all rounding
      const NormReference<Number> want(problem);
      // Of a rounding or two of each element; those of the sums are far below.
      const double rounding = std::is_same_v<Number, Bf16> ? 0x1p-8 : 0x1p-21;
      EXPECT_LT(relative_distance(got.output, want.output), rounding);
      EXPECT_LT(relative_distance(got.input_gradient, want.input_gradient), rounding);
      EXPECT_LT(relative_distance(got.weight_gradient, want.weight_gradient), 0x1p-20);
      EXPECT_LT(relative_distance(got.bias_gradient, want.bias_gradient), 0x1p-20);
    }
  });
}

TEST_P(NormContract, LeavesOutTheGradientOfTheInputWhereItIsNotWanted) {
  const NormProblem<float> problem({{2, 6, 5}, 3}, false);
  const NormResult<float> all = compute_norm(GetParam(), problem);
  const Guarded<float> input(GetParam(), problem.input);
  const Guarded<float> weight(GetParam(), problem.weight);
  const Guarded<float> statistics(GetParam(), all.statistics);
  const Guarded<float> output_gradient(GetParam(), problem.output_gradient);
  const PartialSums sums = NormBackward<float>::sums(problem.shape);
  const Guarded<float> partial_sums = no_sums_yet(GetParam(), sums);
  execute(GetParam(),
          NormBackward<float>{problem.shape, false, input.data(), weight.data(), nullptr, statistics.data(),
                              output_gradient.data(), nullptr, partial_sums.data()});
  std::vector<float> gradients = all.weight_gradient;
  gradients.insert(gradients.end(), all.bias_gradient.begin(), all.bias_gradient.end());
  EXPECT_TRUE(same_bits(add_parts(GetParam(), partial_sums, sums), gradients));
  EXPECT_TRUE(same_bits(input.values(), problem.input));
}

TEST_P(NormContract, GivesTheBiasWhereAllIsAlike) {
  const NormShape shape{{2, 4, 9}, 2};
  NormProblem<float> problem(shape, false);
  std::ranges::fill(problem.input, 0.7F);
  const NormResult<float> got = compute_norm(GetParam(), problem);
  for_each_element(shape.images, [&](std::size_t, std::size_t c, std::size_t, std::size_t place) {
    EXPECT_NEAR(got.output[place], problem.bias[c], 1e-4);  // a last place of 0.7 times √(1 / ε)
  });
}

TEST_P(NormContract, SpoilsOnlyTheGroupOfANan) {
  const NormShape shape{{2, 4, 9}, 2};
  NormProblem<float> problem(shape, true);
  problem.input[0] = poison;
  const std::vector<float> output = compute_norm(GetParam(), problem).output;
  for_each_element(shape.images, [&](std::size_t n, std::size_t c, std::size_t, std::size_t place) {
    EXPECT_EQ(std::isnan(output[place]), n == 0 && c < 2);
  });
}

INSTANTIATE_TEST_SUITE_P(Backends, NormContract, every_backend, ::testing::PrintToStringParamName());

TEST(Norm, RefusesWhatItCannotDo) {
  float v = 0;
  const NormShape one{{1, 1, 1}};
  expect_refused(NormForward<float>{one, 1, false, nullptr, &v, &v, &v, &v}, "a pointer is null");
  expect_refused(NormForward<float>{one, 1, false, &v, &v, &v, &v, nullptr}, "a pointer is null");
  expect_refused(NormForward<float>{{{1, 4, 1}, 3}, 1, false, &v, &v, &v, &v, &v},
                 "a divisor of the channels");
  expect_refused(NormForward<float>{{{1, 4, 1}, 2, true}, 1, false, &v, &v, &v, &v, &v}, "by element");
  expect_refused(NormForward<float>{{{65536, 65536, 1}}, 1, false, &v, &v, &v, &v, &v}, "too many elements");
  expect_refused(NormBackward<float>{one, true, &v, &v, nullptr, &v, &v, &v, &v}, "a pointer is null");
  expect_refused(NormBackward<float>{one, false, &v, &v, &v, &v, nullptr, &v, &v}, "a pointer is null");
  expect_refused(NormBackward<float>{one, false, &v, &v, &v, &v, &v, &v, nullptr}, "a pointer is null");
}

}  // namespace
}  // namespace tardigrad
