#include "kernels/quadratic_gradient.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

#include "tests/kernels/backend.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

struct Problem {
  std::vector<float> matrix, offset, parameters;
};

struct GradientAndLoss {
  std::vector<float> gradient;
  std::vector<float> loss;
};

template <typename Draw>
Problem make_problem(std::size_t dimension, Draw draw) {
  Problem problem{std::vector<float>(dimension * dimension), std::vector<float>(dimension),
                  std::vector<float>(dimension)};
  for (std::size_t row = 0; row < dimension; ++row) {
    for (std::size_t column = 0; column <= row; ++column) {
      problem.matrix[row * dimension + column] = problem.matrix[column * dimension + row] = draw();
    }
    problem.offset[row] = draw();
    problem.parameters[row] = draw();
  }
  return problem;
}

Problem dyadic_problem(std::size_t dimension) {
  std::minstd_rand random(static_cast<unsigned>(dimension) + 1);
  return make_problem(dimension,
                      [&] { return static_cast<float>(static_cast<int>(random() >> 8 & 15U) - 8) / 4; });
}

Problem random_problem(std::size_t dimension) {
  std::mt19937 random(static_cast<unsigned>(dimension) + 1);
  return make_problem(dimension, [&] { return std::uniform_real_distribution<float>(-1, 1)(random); });
}

struct Reference {
  std::vector<double> gradient;
  double loss = 0;
};

/// f(x) = ½ xᵀA x − bᵀx and A x − b in float64, term by term.
Reference reference(const Problem& problem) {
  const std::size_t d = problem.offset.size();
  Reference answer{std::vector<double>(d)};
  for (std::size_t row = 0; row < d; ++row) {
    const auto x = static_cast<double>(problem.parameters[row]);
    const auto b = static_cast<double>(problem.offset[row]);
    double product = 0;
    for (std::size_t column = 0; column < d; ++column) {
      product += static_cast<double>(problem.matrix[row * d + column]) *
                 static_cast<double>(problem.parameters[column]);
    }
    answer.gradient[row] = product - b;
    answer.loss += 0.5 * x * product - b * x;
  }
  return answer;
}

GradientAndLoss computed(Backend backend, const Problem& problem, std::size_t offset = 0) {
  const std::size_t d = problem.offset.size();
  const Guarded<float> matrix(backend, problem.matrix, offset);
  const Guarded<float> b(backend, problem.offset, offset);
  const Guarded<float> x(backend, problem.parameters, offset);
  const Guarded<float> gradient(backend, std::vector<float>(d, poison), offset);
  const Guarded<float> loss(backend, std::vector<float>(1, poison), offset);
  execute(backend, QuadraticGradient{d, matrix.data(), b.data(), x.data(), gradient.data(), loss.data()});
  EXPECT_TRUE(same_bits(matrix.values(), problem.matrix));
  EXPECT_TRUE(same_bits(b.values(), problem.offset));
  EXPECT_TRUE(same_bits(x.values(), problem.parameters));
  return {gradient.values(), loss.values()};
}

class QuadraticGradientContract : public OnBackend {};

TEST_P(QuadraticGradientContract, IsExactOnDyadicInputs) {
  for (const std::size_t dimension : {0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 257}) {
    SCOPED_TRACE(::testing::Message() << "d = " << dimension);
    const Problem problem = dyadic_problem(dimension);
    const Reference want = reference(problem);
    const GradientAndLoss got = computed(GetParam(), problem, dimension % 3);
    EXPECT_TRUE(same_bits(got.gradient, std::vector<float>(want.gradient.begin(), want.gradient.end())));
    EXPECT_EQ(got.loss[0], static_cast<float>(want.loss));
  }
}

TEST_P(QuadraticGradientContract, FollowsFloat64OnRandomInputs) {
  constexpr std::size_t dimension = 517;
  const Problem problem = random_problem(dimension);
  const Reference want = reference(problem);
  const GradientAndLoss got = computed(GetParam(), problem);
  double magnitude = 0;
  for (std::size_t i = 0; i < dimension; ++i) {
    // Sums in float64 leave the rounding of the result to fp32, half a unit in its last place.
    ASSERT_NEAR(got.gradient[i], want.gradient[i], std::abs(want.gradient[i]) * 0x1.0001p-24)
        << "element " << i;
    magnitude += std::abs(want.gradient[i]) * std::abs(static_cast<double>(problem.parameters[i])) / 2;
  }
  // The loss is made of gradients so rounded, and is rounded itself.
  EXPECT_NEAR(got.loss[0], want.loss, (magnitude + std::abs(want.loss)) * 0x1.0001p-24);
}

/// The sum as quadratic_gradient_math.h orders it: 32 lanes, then halves.
template <typename Term>
double sum_by_lanes(std::size_t count, const Term& term) {
  std::vector<double> sums(32);
  for (std::size_t i = 0; i < count; ++i) sums[i % 32] = term(sums[i % 32], i);
  for (; sums.size() > 1; sums.resize(sums.size() / 2)) {
    for (std::size_t lane = 0; lane < sums.size() / 2; ++lane) sums[lane] += sums[lane + sums.size() / 2];
  }
  return sums[0];
}

TEST_P(QuadraticGradientContract, AddsInTheSameOrderEverywhere) {
  // Entries of very different size that cancel in pairs, so that what is left is the rounding of float64,
  // which every other order would leave otherwise.
  constexpr std::size_t dimension = 100;
  std::mt19937 random(5);
  Problem problem = random_problem(dimension);
  const auto spread_in_pairs = [&](float* values) {
    for (std::size_t i = 0; i < dimension / 2; ++i) {
      values[i] = std::ldexp(values[i], static_cast<int>(random() % 80));
      values[dimension / 2 + i] = -values[i];
    }
  };
  spread_in_pairs(problem.offset.data());
  for (std::size_t row = 0; row < dimension; ++row) {
    spread_in_pairs(&problem.matrix[row * dimension]);
    problem.parameters[row] = row % 2 == 0 ? 1 : -1;
  }
  const auto real = [](float value) { return static_cast<double>(value); };
  const GradientAndLoss got = computed(GetParam(), problem);
  for (std::size_t row = 0; row < dimension; ++row) {
    const double product = sum_by_lanes(dimension, [&](double sum, std::size_t j) {
      return sum + real(problem.matrix[row * dimension + j]) * real(problem.parameters[j]);
    });
    ASSERT_EQ(got.gradient[row], static_cast<float>(product - real(problem.offset[row]))) << "row " << row;
  }
  const double loss = sum_by_lanes(dimension, [&](double sum, std::size_t i) {
    return std::fma(0.5 * real(problem.parameters[i]), real(got.gradient[i]) - real(problem.offset[i]), sum);
  });
  EXPECT_EQ(got.loss[0], static_cast<float>(loss));
}

TEST_P(QuadraticGradientContract, DoesWithoutTheLoss) {
  const Problem problem = dyadic_problem(5);
  const Guarded<float> matrix(GetParam(), problem.matrix);
  const Guarded<float> b(GetParam(), problem.offset);
  const Guarded<float> x(GetParam(), problem.parameters);
  const Guarded<float> gradient(GetParam(), std::vector<float>(5));
  execute(GetParam(), QuadraticGradient{5, matrix.data(), b.data(), x.data(), gradient.data(), nullptr});
  const std::vector<double> want = reference(problem).gradient;
  EXPECT_TRUE(same_bits(gradient.values(), std::vector<float>(want.begin(), want.end())));
}

/// With ¼ tridiag(−1, 2, −1) as the matrix.
Problem tridiagonal(Problem problem) {
  const std::size_t d = problem.offset.size();
  std::ranges::fill(problem.matrix, 0.0F);
  for (std::size_t i = 0; i < d; ++i) {
    problem.matrix[i * d + i] = 0.5F;
    if (i > 0) problem.matrix[i * d + i - 1] = problem.matrix[(i - 1) * d + i] = -0.25F;
  }
  return problem;
}

GradientAndLoss computed_tridiagonal(Backend backend, const Problem& problem, std::size_t offset = 0) {
  const std::size_t d = problem.offset.size();
  const Guarded<float> b(backend, problem.offset, offset);
  const Guarded<float> x(backend, problem.parameters, offset);
  const Guarded<float> gradient(backend, std::vector<float>(d, poison), offset);
  const Guarded<float> loss(backend, std::vector<float>(1, poison), offset);
  execute(backend, TridiagonalGradient{d, b.data(), x.data(), gradient.data(), loss.data()});
  EXPECT_TRUE(same_bits(b.values(), problem.offset));
  EXPECT_TRUE(same_bits(x.values(), problem.parameters));
  return {gradient.values(), loss.values()};
}

TEST_P(QuadraticGradientContract, TridiagonalIsTheDenseOneWithoutItsZeros) {
  for (const std::size_t dimension : {0, 1, 2, 3, 8, 31, 32, 33, 257}) {
    SCOPED_TRACE(::testing::Message() << "d = " << dimension);
    const Problem problem = tridiagonal(dyadic_problem(dimension));
    const GradientAndLoss dense = computed(GetParam(), problem);
    const GradientAndLoss got = computed_tridiagonal(GetParam(), problem, dimension % 3);
    EXPECT_TRUE(same_bits(got.gradient, dense.gradient));
    EXPECT_TRUE(same_bits(got.loss, dense.loss));
  }
}

TEST_P(QuadraticGradientContract, TridiagonalFollowsFloat64OnRandomInputs) {
  const Problem problem = tridiagonal(random_problem(517));
  const Reference want = reference(problem);
  const GradientAndLoss got = computed_tridiagonal(GetParam(), problem);
  for (std::size_t i = 0; i < want.gradient.size(); ++i) {
    // As for the dense one: half a unit in the last place of fp32.
    ASSERT_NEAR(got.gradient[i], want.gradient[i], std::abs(want.gradient[i]) * 0x1.0001p-24)
        << "element " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, QuadraticGradientContract, every_backend,
                         ::testing::PrintToStringParamName());

TEST(QuadraticGradient, RefusesAMissingVector) {
  float values[4] = {};
  const QuadraticGradient complete{1, &values[0], &values[1], &values[2], &values[3], nullptr};
  QuadraticGradient without[] = {complete, complete, complete, complete};
  without[0].matrix = nullptr;
  without[1].offset = nullptr;
  without[2].parameters = nullptr;
  without[3].gradient = nullptr;
  for (const QuadraticGradient& quadratic : without) {
    EXPECT_THROW(quadratic.run(), std::logic_error);
#if TARDIGRAD_CUDA
    EXPECT_THROW(quadratic.launch(nullptr), std::logic_error);
#endif
  }
  EXPECT_NO_THROW(complete.run());
}

TEST(TridiagonalGradient, RefusesAMissingVector) {
  float values[3] = {};
  const TridiagonalGradient complete{1, &values[0], &values[1], &values[2], nullptr};
  TridiagonalGradient without[] = {complete, complete, complete};
  without[0].offset = nullptr;
  without[1].parameters = nullptr;
  without[2].gradient = nullptr;
  for (const TridiagonalGradient& quadratic : without) {
    EXPECT_THROW(quadratic.run(), std::logic_error);
#if TARDIGRAD_CUDA
    EXPECT_THROW(quadratic.launch(nullptr), std::logic_error);
#endif
  }
  EXPECT_NO_THROW(complete.run());
}

TEST(QuadraticGradient, CountsBytesAndFlops) {
  QuadraticGradient quadratic;
  quadratic.dimension = 10;
  EXPECT_EQ(quadratic.bytes(), 4 * (100 + 30));
  EXPECT_EQ(quadratic.flops(), 2 * 100 + 10);
  TridiagonalGradient tridiagonal;
  tridiagonal.dimension = 10;
  EXPECT_EQ(tridiagonal.bytes(), 4 * 30);
  EXPECT_EQ(tridiagonal.flops(), 5 * 10);
}

}  // namespace
}  // namespace tardigrad
