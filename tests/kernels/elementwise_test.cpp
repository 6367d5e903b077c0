#include "kernels/elementwise.h"

#include <cmath>

#include "tests/kernels/backend.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr std::size_t vector_sizes[] = {0, 1, 7, 8, 256, 1000, 4099};

/// Random numbers, with what is special among the first of them.
template <typename Number>
std::vector<Number> numbers_with_special(std::size_t size, unsigned seed) {
  std::vector<Number> values = random_numbers<Number>(size, seed);
  const float special[] = {0, -0.0F, poison, infinity, -infinity};
  for (std::size_t i = 0; i < std::min(size, std::size(special)); ++i) {
    values[(i + seed) % size] = nearest<Number>(special[i]);
  }
  return values;
}

bool agree(float a, double b, double tolerance) {
  if (std::isnan(b)) return std::isnan(a);
  if (std::isinf(b)) return static_cast<double>(a) == b;
  return std::abs(static_cast<double>(a) - b) <= tolerance * std::max(1.0, std::abs(b));
}

/// A unit in the last place, and for what is made of exp and erf the few that CUDA's may be off by.
template <typename Number>
double tolerance_of(bool is_transcendental) {
  if (std::is_same_v<Number, Bf16>) return 0x1p-8;
  return is_transcendental ? 1e-6 : 0x1p-24;
}

class ElementwiseContract : public OnBackend {
 protected:
  /// Compares what `make(size, output, inputs…)` gives with the function in double, aligned or not, and in
  /// the place of its last input.
  template <typename Make, typename Function>
  static void check_unary(const Make& make, const Function& function, bool is_transcendental = false) {
    check<1>([&](auto output, auto inputs) { return make(inputs[0], output); },
             [&](const double* x) { return function(x[0]); }, is_transcendental);
  }

  template <typename Make, typename Function>
  static void check_binary(const Make& make, const Function& function, bool is_transcendental = false) {
    check<2>([&](auto output, auto inputs) { return make(inputs[0], inputs[1], output); },
             [&](const double* x) { return function(x[0], x[1]); }, is_transcendental);
  }

 private:
  template <std::size_t count, typename Make, typename Function>
  static void check(const Make& make, const Function& function, bool is_transcendental) {
    const auto check_number = [&]<typename Number>(Number) {
      for (const std::size_t size : vector_sizes) {
        for (const std::size_t offset : {0, 1}) {
          check_size<Number, count>(make, function, size, offset, is_transcendental);
        }
      }
    };
    check_number(float{});
    check_number(Bf16{});
  }

  template <typename Number, std::size_t count, typename Make, typename Function>
  static void check_size(const Make& make, const Function& function, std::size_t size, std::size_t offset,
                         bool is_transcendental) {
    std::vector<std::vector<Number>> values;
    std::vector<Guarded<Number>*> inputs;
    std::vector<std::unique_ptr<Guarded<Number>>> owned;
    std::vector<const Number*> pointers;
    for (unsigned i = 0; i < count; ++i) {
      values.push_back(numbers_with_special<Number>(size, i));
      owned.push_back(std::make_unique<Guarded<Number>>(GetParam(), values.back(), offset));
      pointers.push_back(owned.back()->data());
    }
    const Guarded<Number> output(GetParam(), std::vector<Number>(size, nearest<Number>(-77)), offset);
    auto operation = make(output.data(), pointers);
    operation.size = size;
    execute(GetParam(), operation);
    const std::vector<Number> got = output.values();
    for (std::size_t i = 0; i < size; ++i) {
      double x[count];
      for (std::size_t k = 0; k < count; ++k) x[k] = static_cast<double>(widen(values[k][i]));
      ASSERT_TRUE(agree(widen(got[i]), function(x), tolerance_of<Number>(is_transcendental)))
          << "element " << i << " of " << size << " is " << widen(got[i]) << ", expected " << function(x);
    }
    auto in_place = make(owned.back()->data(), pointers);
    in_place.size = size;
    execute(GetParam(), in_place);
    EXPECT_TRUE(same_bits(owned.back()->values(), got));
  }
};

double exact_relu(double x) { return x <= 0 ? 0 : x; }

TEST_P(ElementwiseContract, ReluClosesAtZero) {
  check_unary(
      []<typename Number>(const Number* x, Number* y) {
        return ReluForward<Number>{0, x, y};
      },
      exact_relu);
}

TEST_P(ElementwiseContract, ReluGatesTheGradient) {
  check_binary(
      []<typename Number>(const Number* x, const Number* dy, Number* dx) {
        return ReluBackward<Number>{0, x, dy, dx};
      },
      [](double x, double dy) { return x <= 0 ? 0 : dy; });
}

TEST_P(ElementwiseContract, GeluIsThatOfTheNormalDistribution) {
  check_unary(
      []<typename Number>(const Number* x, Number* y) {
        return GeluForward<Number>{0, x, y};
      },
      [](double x) { return x * std::erfc(-x / std::sqrt(2)) / 2; }, true);
}

TEST_P(ElementwiseContract, GeluDifferentiates) {
  check_binary(
      []<typename Number>(const Number* x, const Number* dy, Number* dx) {
        return GeluBackward<Number>{0, x, dy, dx};
      },
      [](double x, double dy) {
        const double density = std::exp(-x * x / 2) / std::sqrt(2 * M_PI);
        return dy * (std::erfc(-x / std::sqrt(2)) / 2 + x * density);
      },
      true);
}

TEST_P(ElementwiseContract, AddsWithAndWithoutRelu) {
  for (const bool closes : {false, true}) {
    check_binary(
        [closes]<typename Number>(const Number* a, const Number* b, Number* y) {
          return AddElements<Number>{0, closes, a, b, y};
        },
        [closes](double a, double b) { return closes ? exact_relu(a + b) : a + b; });
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, ElementwiseContract, every_backend, ::testing::PrintToStringParamName());

TEST(Elementwise, RefusesNullPointers) {
  float value = 0;
  expect_refused(ReluForward<float>{1, nullptr, &value}, "relu: a pointer is null");
  expect_refused(ReluForward<float>{1, &value, nullptr}, "relu: a pointer is null");
  expect_refused(GeluBackward<float>{1, &value, nullptr, &value}, "gelu_backward: a pointer is null");
  expect_refused(AddElements<float>{1, false, &value, nullptr, &value}, "add_elements: a pointer is null");
}

TEST(Elementwise, CountsBytes) {
  EXPECT_EQ((ReluForward<float>{10, nullptr, nullptr}.bytes()), 80);
  EXPECT_EQ((AddElements<Bf16>{10, true, nullptr, nullptr, nullptr}.bytes()), 60);
}

}  // namespace
}  // namespace tardigrad
