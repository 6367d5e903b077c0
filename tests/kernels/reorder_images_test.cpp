#include "kernels/reorder_images.h"

#include "tests/kernels/image_batches.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

class ReorderContract : public OnBackend {};

TEST_P(ReorderContract, PutsEveryElementWhereTheOtherFormatHasIt) {
  const auto check = []<typename Number>(Number, const ImageBatch& shape) {
    ImageBatch other = shape;
    other.format = shape.format == MemoryFormat::channel_major ? MemoryFormat::channels_last
                                                               : MemoryFormat::channel_major;
    const auto values = random_numbers<Number>(shape.size(), 1);
    std::vector<Number> want(shape.size());
    for_each_element(shape, [&](std::size_t n, std::size_t c, std::size_t p, std::size_t place) {
      want[place_in(other, n, c, p)] = values[place];
    });
    const Guarded<Number> input(GetParam(), values);
    const Guarded<Number> output(GetParam(), std::vector<Number>(values.size(), nearest<Number>(-77)));
    execute(GetParam(), ReorderImages<Number>{shape, input.data(), output.data()});
    EXPECT_TRUE(same_bits(output.values(), want));
  };
  for_each_image_batch([&](const ImageBatch& shape) {
    check(float{}, shape);
    check(Bf16{}, shape);
  });
}

INSTANTIATE_TEST_SUITE_P(Backends, ReorderContract, every_backend, ::testing::PrintToStringParamName());

TEST(ReorderImages, RefusesWhatItCannotDo) {
  float value = 0;
  expect_refused(ReorderImages<float>{{1, 1, 1}, nullptr, &value}, "a pointer is null");
  expect_refused(ReorderImages<float>{{1, 1, 1}, &value, nullptr}, "a pointer is null");
  expect_refused(ReorderImages<float>{{65536, 65536, 1}, &value, &value}, "too many elements");
}

}  // namespace
}  // namespace tardigrad
