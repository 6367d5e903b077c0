#include "kernels/apply_dropout.h"

#include "kernels/dropout_mask.h"
#include "tests/kernels/image_batches.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr std::uint64_t start = DropoutMask::start({.seed = 3, .worker = 5, .job = 7}, 1);

template <typename Number>
std::vector<Number> dropped(Backend backend, const ImageBatch& shape, double probability, bool masked,
                            const std::vector<Number>& values) {
  const Guarded<Number> input(backend, values);
  const Guarded<Number> output(backend, std::vector<Number>(values.size(), nearest<Number>(-77)));
  const Guarded<std::uint64_t> at(backend, {start});
  ApplyDropout<Number> operation{shape, probability, masked ? at.data() : nullptr, input.data(),
                                 output.data()};
  execute(backend, operation);
  operation.output = input.data();
  execute(backend, operation);
  EXPECT_TRUE(same_bits(input.values(), output.values()));
  return output.values();
}

class DropoutContract : public OnBackend {};

TEST_P(DropoutContract, DropsByTheNumberOfAnElementWhereverItLies) {
  const auto check = []<typename Number>(Number, const ImageBatch& shape) {
    const auto values = random_numbers<Number>(shape.size(), 1);
    for (const double probability : {0.0, 0.25, 0.9}) {
      const DropoutMask mask(start, probability);
      const auto scale = static_cast<float>(1 / (1 - probability));
      std::vector<Number> want(shape.size());
      std::size_t number = 0;
      for_each_element(shape, [&](std::size_t, std::size_t, std::size_t, std::size_t place) {
        want[place] = mask.keeps(number++) ? nearest<Number>(widen(values[place]) * scale) : Number{};
      });
      EXPECT_TRUE(same_bits(dropped(GetParam(), shape, probability, true, values), want));
    }
    EXPECT_TRUE(same_bits(dropped(GetParam(), shape, 0.5, false, values), values));
  };
  for_each_image_batch([&](const ImageBatch& shape) {
    check(float{}, shape);
    check(Bf16{}, shape);
  });
}

INSTANTIATE_TEST_SUITE_P(Backends, DropoutContract, every_backend, ::testing::PrintToStringParamName());

TEST(ApplyDropout, RefusesWhatItCannotDo) {
  float value = 0;
  expect_refused(ApplyDropout<float>{{1, 1, 1}, 0.5, nullptr, nullptr, &value}, "input is null");
  expect_refused(ApplyDropout<float>{{1, 1, 1}, 0.5, nullptr, &value, nullptr}, "output is null");
  expect_refused(ApplyDropout<float>{{65536, 65536, 1}, 0.5, nullptr, &value, &value}, "too many elements");
}

}  // namespace
}  // namespace tardigrad
